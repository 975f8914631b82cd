import { lengthOfPairs } from '../hsm/encryption-context.ts';
import { camelCase, constraints, validationException, violation } from '../errors/aws-messages.ts';
import { KmsException } from '../errors/exceptions.ts';
import type { TooManyError } from './read-json.ts';
import {
  type ListShape,
  type MapShape,
  type Shape,
  type StructureShape,
  type TextShape,
  wholePattern,
} from './shape.ts';

/**
 * How many items of a list are looked at, how many of their violations are told, and how many items are printed. No
 * list takes more items, and whoever sends a hundred thousand wrong ones learns enough.
 */
const MAX_ITEMS = 1_000;
const MAX_TOLD = 100;

/** Adds the violations of `value` to `violations`. `path` is '' for the whole input. */
type Check = (value: unknown, path: string, violations: string[]) => void;

/**
 * Compiles a structure's constraints. The result throws AWS's ValidationException with all violations at once. It
 * agrees with the zod schema, which is the definition (a test compares them), but in AWS's words and order.
 */
export function compileCheck(shape: StructureShape): (value: object) => void {
  const check = structureCheck(shape);
  const checkForRecord = structureCheck(withoutSecrets(shape));
  return (value) => {
    const violations: string[] = [];
    check(value, '', violations);
    if (violations.length === 0) return;
    const recorded: string[] = [];
    checkForRecord(value, '', recorded);
    throw validationException(violations, recorded);
  };
}

/** Of a body that was not read on: as the checks answer a map or list that is too long. Nothing else takes so much. */
export function tooManyException(cause: TooManyError, shape: StructureShape): KmsException {
  let at: Shape | undefined = shape;
  for (const place of cause.path) {
    if (at?.kind === 'structure') at = at.members.find(({ name }) => name === place)?.shape;
    else at = at?.kind === 'list' ? at.item : undefined;
  }
  if (at?.kind !== 'map' && at?.kind !== 'list') return new KmsException('SerializationException', '', { cause });
  const path = cause.path.map((place) => camelCase(String(place))).join('.');
  const limit = at.kind === 'map' ? constraints.longestMap(at.max) : constraints.longest(at.max ?? MAX_ITEMS);
  return validationException([violation(undefined, path, limit)]);
}

/** The shape for the audit record: AWS prints grant tokens to their caller, but logs none. */
function withoutSecrets<S extends Shape>(shape: S): S {
  switch (shape.kind) {
    case 'text':
      return { ...shape, sensitive: shape.secret === true || shape.sensitive === true };
    case 'list':
      return { ...shape, item: withoutSecrets(shape.item) };
    case 'structure':
      return {
        ...shape,
        members: shape.members.map((member) => ({ ...member, shape: withoutSecrets(member.shape) })),
      };
    case 'choice':
    case 'integer':
    case 'flag':
    case 'timestamp':
    case 'blob':
    case 'map':
      return shape;
  }
}

function checkOf(shape: Shape): Check | undefined {
  switch (shape.kind) {
    case 'text':
      return textCheck(shape);
    case 'choice': {
      const accepted = new Set<unknown>(shape.accepted);
      return (value, path, violations) => {
        if (!accepted.has(value)) violations.push(violation(String(value), path, constraints.choice(shape.listed)));
      };
    }
    case 'integer':
      return (value, path, violations) => {
        if ((value as number) > shape.max)
          violations.push(violation(String(value), path, constraints.largest(shape.max)));
        if ((value as number) < shape.min)
          violations.push(violation(String(value), path, constraints.smallest(shape.min)));
      };
    case 'blob':
      return (value, path, violations) => {
        const { length } = value as Uint8Array;
        if (length > shape.max) violations.push(violation(undefined, path, constraints.longest(shape.max)));
        if (length < shape.min) violations.push(violation(undefined, path, constraints.shortest(shape.min)));
      };
    case 'list':
      return listCheck(shape);
    case 'map':
      return mapCheck(shape);
    case 'structure':
      return structureCheck(shape);
    case 'flag':
    case 'timestamp':
      return undefined;
  }
}

function textCheck(shape: TextShape): Check {
  const { min = 0, max = Infinity } = shape;
  const pattern = shape.pattern === undefined ? undefined : wholePattern(shape.pattern);
  return (value, path, violations) => {
    const text = value as string;
    const printed = shape.sensitive === true ? undefined : text;
    if (text.length > max) violations.push(violation(printed, path, constraints.longest(max)));
    if (text.length < min) violations.push(violation(printed, path, constraints.shortest(min)));
    if (pattern?.test(text) === false) violations.push(violation(printed, path, constraints.pattern(shape.pattern!)));
  };
}

function structureCheck(shape: StructureShape): Check {
  const members = shape.members.map((member) => ({
    ...member,
    path: camelCase(member.name),
    check: checkOf(member.shape),
    // AWS prints nothing about sensitive members, not even that one is missing.
    absent: 'sensitive' in member.shape && member.shape.sensitive === true ? undefined : null,
  }));
  return (value, path, violations) => {
    for (const member of members) {
      const field = (value as Record<string, unknown>)[member.name];
      if (field === undefined && !member.required) continue;
      const at = path === '' ? member.path : `${path}.${member.path}`;
      if (field === undefined) violations.push(violation(member.absent, at, constraints.notNull));
      else member.check?.(field, at, violations);
    }
  };
}

/** Structures in a list are reported one by one; a list of scalars is reported as a whole. */
function listCheck(shape: ListShape): Check {
  const { item, min = 0, max = MAX_ITEMS } = shape;
  const check = checkOf(item);
  const eachItem = check === undefined || item.kind === 'structure' ? undefined : scalarConstraints(item);
  const sensitive = item.kind === 'text' && item.sensitive === true;
  return (value, path, violations) => {
    const items = value as unknown[];
    const printed = (): string | undefined => (sensitive ? undefined : printedList(items));
    if (items.length > max) violations.push(violation(printed(), path, constraints.longest(max)));
    if (items.length < min) violations.push(violation(printed(), path, constraints.shortest(min)));
    const inside: string[] = [];
    for (const [index, each] of items.slice(0, MAX_ITEMS).entries()) {
      if (inside.length >= MAX_TOLD) break;
      const at = `${path}.${index + 1}.member`;
      if (each === null) inside.push(violation(null, at, constraints.notNull));
      else check?.(each, at, inside);
    }
    if (inside.length === 0) return;
    if (eachItem === undefined) violations.push(...inside);
    else
      violations.push(
        violation(
          printed(),
          path,
          constraints.items(items.includes(null) ? [...eachItem, constraints.notNull] : eachItem),
        ),
      );
  };
}

function printedList(items: readonly unknown[]): string {
  const printed = items.slice(0, MAX_ITEMS).map(printedItem);
  return `[${(items.length > MAX_ITEMS ? [...printed, '...'] : printed).join(', ')}]`;
}

function printedItem(item: unknown): string {
  return typeof item === 'object' && item !== null ? '{}' : String(item);
}

function scalarConstraints(shape: Shape): readonly string[] {
  if (shape.kind === 'choice') return [constraints.choice(shape.listed)];
  if (shape.kind !== 'text') return [];
  const all: string[] = [];
  if (shape.max !== undefined) all.push(constraints.longest(shape.max));
  if (shape.min !== undefined) all.push(constraints.shortest(shape.min));
  if (shape.pattern !== undefined) all.push(constraints.pattern(shape.pattern));
  return all;
}

function mapCheck({ max }: MapShape): Check {
  return (value, path, violations) => {
    const map = value as Record<string, string | null>;
    for (const key in map) {
      if (map[key] !== null) continue;
      violations.push(violation(printedMap(map), path, constraints.mapValues([constraints.notNull])));
      return;
    }
    if (lengthOfPairs(map as Record<string, string>) > max)
      violations.push(violation(undefined, path, constraints.longestMap(max)));
  };
}

function printedMap(map: Record<string, string | null>): string {
  return `{${Object.entries(map)
    .map(([key, value]) => `${key}=${value}`)
    .join(', ')}}`;
}
