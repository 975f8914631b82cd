import type { Acknowledged } from './acknowledged.ts';

/** An alias's record as it was read, and what refuses it if it is older than one that was acknowledged. */
export interface ReadAlias {
  readonly text: string;
  readonly assertNotOlder: ReturnType<Acknowledged['beginRead']>;
}

/** Where a page of a sorted list of aliases begins and ends: of all names, or of those of one target. */
export function aliasRange(targetKeyId: string | undefined, after: string | undefined) {
  const prefix = targetKeyId === undefined ? '' : `${targetKeyId}/`;
  const from = after !== undefined ? `(${prefix}${after}` : prefix === '' ? '-' : `[${prefix}`;
  // '0' is the character after '/'.
  const to = prefix === '' ? '+' : `(${targetKeyId}0`;
  return { prefix, from, to };
}
