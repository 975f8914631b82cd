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
const STATEMENT = 2_000;
const PRINCIPAL = 200;
/** Of the operator and the key of a condition. */
const TEST = 1_200;
const TEXT = 150;
/** A pattern of an ARN, and each of its parts that not everything matches. */
const ARN = 200;
/** Each `*` ends a piece of a pattern, each `?` is a place in one, and each variable is a part of its own. */
const WILDCARD = 200;

/** Roughly how many bytes of memory a policy takes once it is compiled: up to hundreds of times its text. */
export function compiledBytesOf(statements: readonly StatementShape[]): number {
  return sumOf(statements, bytesOfStatement);
}

function bytesOfStatement(statement: StatementShape): number {
  const { Principal, NotPrincipal, Action, NotAction, Resource, NotResource, Condition = {} } = statement;
  const principals = [Principal, NotPrincipal].flatMap((one) =>
    one === undefined || one === '*' ? [] : Object.values(one).flat(),
  );
  return (
    STATEMENT +
    sumOf(principals, (name) => PRINCIPAL + 2 * name.length) +
    sumOf(Action ?? NotAction ?? [], (text) => bytesOf(text, TEXT)) +
    sumOf(Resource ?? NotResource ?? [], bytesOfArn) +
    sumOf(Object.entries(Condition), ([operator, keys]) => {
      const isOfArns = operatorTypeOf(operator) === 'arn';
      const bytesOfValue = (text: string): number => (isOfArns ? bytesOfArn(text) : bytesOf(text, TEXT));
      return sumOf(Object.entries(keys), ([key, values]) => TEST + 2 * key.length + sumOf(values, bytesOfValue));
    })
  );
}

function operatorTypeOf(name: string): string | undefined {
  const operator = parseOperator(name)?.operator;
  return typeof operator === 'object' ? operator.type : undefined;
}

function bytesOfArn(text: string): number {
  return ARN + sumOf(text.split(':'), (part) => (/^\*+$/.test(part) ? 0 : bytesOf(part, TEXT)));
}

function bytesOf(text: string, least: number): number {
  if (text === '*') return 0;
  let wildcards = 0;
  for (const character of text) if (character === '*' || character === '?' || character === '$') wildcards += 1;
  return least + 2 * text.length + WILDCARD * wildcards;
}

function sumOf<T>(items: readonly T[], bytes: (item: T) => number): number {
  return items.reduce((sum, item) => sum + bytes(item), 0);
}
