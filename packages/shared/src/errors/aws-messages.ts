import { KmsException } from './exceptions.ts';

/**
 * The exact wording of AWS's request validation, because clients and test suites compare it. Source: answers recorded
 * from AWS; where KMS's own is not known, those of services on the same framework (Athena, Lambda, ACM).
 */
export const constraints = {
  notNull: 'Member must not be null',
  choice: (values: readonly string[]) => `Member must satisfy enum value set: [${values.join(', ')}]`,
  pattern: (source: string) => `Member must satisfy regular expression pattern: ${source}`,
  longest: (length: number) => `Member must have length less than or equal to ${length}`,
  shortest: (length: number) => `Member must have length greater than or equal to ${length}`,
  largest: (value: number) => `Member must have value less than or equal to ${value}`,
  smallest: (value: number) => `Member must have value greater than or equal to ${value}`,
  items: (each: readonly string[]) => `Member must satisfy constraint: [${each.join(', ')}]`,
  /** Ours: AWS names no limit for a map, and ends a larger request in ways that it does not document. */
  longestMap: (length: number) => `Map must have a total length of keys and values less than or equal to ${length}`,
  mapValues: (each: readonly string[]) => `Map value must satisfy constraint: [${each.join(', ')}]`,
} as const;

/** Characters of a wrong value that are said back, and of all that is: an answer is not much larger than its call. */
const MAX_VALUE = 8_192;
const MAX_TEXT = 65_536;

/**
 * `value` is what AWS prints: undefined for blobs and secrets, `null` if missing. `path` is camelCase:
 * `tags.1.member.tagKey`.
 */
export function violation(value: string | null | undefined, path: string, constraint: string): string {
  const printed = value === undefined ? '' : value === null ? ' null' : ` '${value.slice(0, MAX_VALUE)}'`;
  return `Value${printed} at '${path}' failed to satisfy constraint: ${constraint}`;
}

/** `recorded`: the same violations without what no record may contain. */
export function validationException(
  violations: readonly string[],
  recorded: readonly string[] = violations,
): KmsException {
  return new KmsException('ValidationException', validationText(violations), { recorded: validationText(recorded) });
}

function validationText(violations: readonly string[]): string {
  const errors = violations.length === 1 ? 'error' : 'errors';
  return `${violations.length} validation ${errors} detected: ${violations.join('; ')}`.slice(0, MAX_TEXT);
}

/** `KeyId` -> `keyId`: the form of members in validation messages and the audit record. */
export function camelCase(member: string): string {
  return member[0]!.toLowerCase() + member.slice(1);
}
