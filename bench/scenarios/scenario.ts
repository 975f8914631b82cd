import { BenchError } from '../bench-error.ts';
import type { Caller } from '../targets/caller.ts';
import type { Call } from '../targets/target.ts';
import type { KeyPool } from './key-pool.ts';

export interface ScenarioSettings {
  /** Bytes of a plaintext or message. */
  readonly payload: number;
  /** Pairs of the encryption context. */
  readonly context: number;
  /** Keys that are used. */
  readonly keys: number;
}

export interface Preparation extends ScenarioSettings {
  readonly caller: Caller;
  readonly pool: KeyPool;
}

/** Work that is measured. */
export interface Scenario {
  readonly name: string;
  readonly operation: string;
  /**
   * Makes what the calls need, sees that the target's answers are right, and gives the calls. Throws UnsupportedError
   * for what the target does not have, BenchError for a wrong answer.
   */
  prepare(preparation: Preparation): Promise<readonly Call[]>;
}

/** What the target answers is right. */
export function check(isRight: boolean, claim: string): asserts isRight {
  if (!isRight) throw new BenchError(`answers wrongly: ${claim}.`);
}

/** The same bytes each time, and no two alike in a row. */
export function bytesOf(length: number): string {
  return Buffer.from(Array.from({ length }, (_, index) => (index * 7 + 1) % 256)).toString('base64');
}

const pairs = ['purpose', 'tenant', 'table', 'column', 'region', 'service', 'version', 'owner'];

/** `{ EncryptionContext }` with so many pairs, or nothing. */
export function contextOf(count: number): { EncryptionContext?: Record<string, string> } {
  if (count === 0) return {};
  return { EncryptionContext: Object.fromEntries(pairs.slice(0, count).map((name) => [name, `benchmark ${name}`])) };
}
