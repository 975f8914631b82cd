import { BenchError, UnsupportedError } from '../bench-error.ts';
import type { Pool } from '../load/job.ts';
import { Caller } from '../targets/caller.ts';
import type { Call, Target } from '../targets/target.ts';
import { KeyPool } from '../scenarios/key-pool.ts';
import type { Work } from './plan.ts';

/** A target, and what was made on it. */
export class PreparedTarget implements Disposable {
  readonly target: Target;
  readonly #caller: Caller;
  readonly #keys: KeyPool;

  constructor(target: Target, onProgress: (line: string) => void) {
    this.target = target;
    this.#caller = new Caller(target);
    this.#keys = new KeyPool(this.#caller, (made, wanted) => onProgress(`${target.name}: ${made} of ${wanted} keys`));
  }

  /**
   * The requests of a piece of work, once the target has shown that it answers rightly. Throws UnsupportedError,
   * BenchError.
   */
  async poolsFor({ parts, ...settings }: Work): Promise<Pool[]> {
    const { target } = this;
    if (target.onlyRequest) return [{ operation: 'GET', weight: 1, requests: [target.onlyRequest] }];
    const pools: Pool[] = [];
    for (const { scenario, weight } of parts) {
      if (scenario.operation === 'CreateKey' && target.protocol?.namesKeys) {
        throw new UnsupportedError('the caller names its keys, so that each request would have to be another one');
      }
      try {
        const calls = await scenario.prepare({ ...settings, caller: this.#caller, pool: this.#keys });
        const requests = calls.map((call) => target.protocol!.encode(call));
        await this.#admitCallers(scenario.operation, calls);
        pools.push({ operation: scenario.operation, weight, requests });
      } catch (error) {
        if (error instanceof BenchError)
          throw new BenchError(`${target.name}, ${scenario.name}: ${error.message}`, { cause: error });
        throw error;
      }
    }
    return pools;
  }

  /** Shows that each caller may call, too. Throws UnsupportedError when one may not. */
  async #admitCallers(operation: string, calls: readonly Call[]): Promise<void> {
    const { callers, endpoint } = this.target;
    if (callers === undefined) return;
    await callers.allow(operation, keysOf(calls));
    const { input, keyId } = calls[0]!;
    for (const signing of callers.signings) {
      using caller = new Caller({ ...this.target, endpoint: { ...endpoint, signing } });
      await caller.call(operation, input, keyId);
    }
  }

  [Symbol.dispose](): void {
    this.#caller[Symbol.dispose]();
  }
}

function keysOf(calls: readonly Call[]): string[] {
  const named = calls.flatMap(({ input, keyId }) => [keyId, input['KeyId'], input['DestinationKeyId']]);
  return [...new Set(named.filter((one) => typeof one === 'string'))];
}
