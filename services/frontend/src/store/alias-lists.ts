import type { DamagedValueError } from '@keyfleet/shared/redis/stored-values';
import type { Acknowledged } from './acknowledged.ts';

/** An alias's record as read, and the check that rejects it if it is older than an acknowledged one. */
export interface ReadAlias {
  readonly text: string | DamagedValueError;
  readonly assertNotOlder: ReturnType<Acknowledged['beginRead']>;
}

/** The bounds of a page in a sorted list of aliases: of all names, or of one target's. */
export function aliasRange(targetKeyId: string | undefined, after: string | undefined) {
  const prefix = targetKeyId === undefined ? '' : `${targetKeyId}/`;
  const from = after !== undefined ? `(${prefix}${after}` : prefix === '' ? '-' : `[${prefix}`;
  // '0' follows '/' in ASCII.
  const to = prefix === '' ? '+' : `(${targetKeyId}0`;
  return { prefix, from, to };
}
