import type { Caller } from '../targets/caller.ts';

const AT_ONCE = 32;

/** A target's keys, made when they are first wanted; each scenario that wants the like uses the same. */
export class KeyPool {
  readonly #caller: Caller;
  readonly #onProgress: (made: number, wanted: number) => void;
  readonly #keys = new Map<string, string[]>();

  constructor(caller: Caller, onProgress: (made: number, wanted: number) => void = () => undefined) {
    this.#caller = caller;
    this.#onProgress = onProgress;
  }

  /** Ids of so many keys that this CreateKey request makes. */
  async get(request: Readonly<Record<string, unknown>>, count: number): Promise<readonly string[]> {
    const name = JSON.stringify(request);
    const made = this.#keys.get(name) ?? [];
    this.#keys.set(name, made);
    while (made.length < count) {
      const wanted = Math.min(AT_ONCE, count - made.length);
      made.push(...(await Promise.all(Array.from({ length: wanted }, () => this.#make(request)))));
      this.#onProgress(made.length, count);
    }
    return made.slice(0, count);
  }

  async one(request: Readonly<Record<string, unknown>>): Promise<string> {
    return (await this.get(request, 1))[0]!;
  }

  async #make(request: Readonly<Record<string, unknown>>): Promise<string> {
    const { KeyMetadata } = await this.#caller.call('CreateKey', request);
    return (KeyMetadata as { Arn: string }).Arn;
  }
}
