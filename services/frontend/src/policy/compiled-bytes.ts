import { parseOperator } from './conditions/condition.ts';
import type { PrincipalShape } from './principals.ts';

type Texts = readonly string[] | undefined;

interface StatementShape {
  readonly Principal?: PrincipalShape | undefined;
  readonly NotPrincipal?: PrincipalShape | undefined;
  readonly Action?: Texts;
  readonly NotAction?: Texts;
  readonly Resource?: Texts;
  readonly NotResource?: Texts;
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> | undefined;
}

/** Measured, with some room; a test compares them with the heap. */
const POLICY = 400;
const STATEMENT = 1_600;
const PRINCIPAL = 50;
/** Of the operator and the key of a condition. */
const TEST = 1_300;
/** A whole text, or the beginning of texts: they are kept as texts, in a list of all of them. */
const TEXT = 60;
/** Any other pattern, and each part of an ARN that not everything matches. */
const PATTERN = 130;
/** A pattern of an ARN, besides its parts. */
const ARN = 120;
/** Each `*` ends a piece of a pattern, each `?` is a place in one, and each variable is a part of its own. */
const WILDCARD = 200;

/** Roughly how many bytes of memory a policy takes once it is compiled: up to hundreds of times its text. */
export function compiledBytesOf(statements: readonly StatementShape[]): number {
  return POLICY + sumOf(statements, bytesOfStatement);
}

/**
 * Of a key policy, what costs nothing: the one that AWS's console makes takes 11 kB, and an account may have one of its
 * own for each of thousands of keys, more than are kept. A request reads one or two of them, but identity policies by
 * the hundred.
 */
const FREE_BYTES = { key: 12_000, identity: 0 };
export type PolicyKind = keyof typeof FREE_BYTES;

/** In a piece of what is charged: so little that small identity policies cost nothing, however many there are. */
const BYTES_PER_PIECE = 6_000;

/** What compiling a policy is charged to its account, in pieces (`PolicyReads`). */
export function chargedPieces(bytes: number, kind: PolicyKind): number {
  return Math.floor(Math.max(0, bytes - FREE_BYTES[kind]) / BYTES_PER_PIECE);
}

function bytesOfStatement(statement: StatementShape): number {
  const { Principal, NotPrincipal, Action, NotAction, Resource, NotResource, Condition = {} } = statement;
  const principals = [Principal, NotPrincipal].flatMap((one) =>
    one === undefined || one === '*' ? [] : Object.values(one).flat(),
  );
  return (
    STATEMENT +
    sumOf(principals, (name) => PRINCIPAL + 2 * name.length) +
    sumOf(Action ?? NotAction ?? [], bytesOfText) +
    sumOf(Resource ?? NotResource ?? [], bytesOfArn) +
    sumOf(Object.entries(Condition), ([operator, keys]) => {
      const bytesOfValue = operatorTypeOf(operator) === 'arn' ? bytesOfArn : bytesOfText;
      return sumOf(Object.entries(keys), ([key, values]) => TEST + 2 * key.length + sumOf(values, bytesOfValue));
    })
  );
}

function operatorTypeOf(name: string): string | undefined {
  const operator = parseOperator(name)?.operator;
  return typeof operator === 'object' ? operator.type : undefined;
}

function bytesOfArn(text: string): number {
  if (isAll(text)) return 0;
  return ARN + sumOf(text.split(':'), (part) => (isAll(part) ? 0 : bytesOfPattern(part)));
}

function bytesOfText(text: string): number {
  if (text === '*') return 0;
  return /^[^*?$]*\*?$/.test(text) ? TEXT + 2 * text.length : bytesOfPattern(text);
}

function bytesOfPattern(text: string): number {
  let wildcards = 0;
  for (const character of text) if (character === '*' || character === '?' || character === '$') wildcards += 1;
  return PATTERN + 2 * text.length + WILDCARD * wildcards;
}

function isAll(text: string): boolean {
  return /^\*+$/.test(text);
}

function sumOf<T>(items: readonly T[], bytes: (item: T) => number): number {
  return items.reduce((sum, item) => sum + bytes(item), 0);
}
