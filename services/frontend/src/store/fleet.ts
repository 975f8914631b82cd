import { FleetKeys, type FleetKeysDeps, type FleetKeysName } from './fleet-keys.ts';

const PUT_BACK_MS = 60_000;

/** One frontend's keys for all purposes. */
export class Fleet {
  readonly #deps: FleetKeysDeps;
  readonly #all: FleetKeys[] = [];

  constructor(deps: FleetKeysDeps) {
    this.#deps = deps;
  }

  keys(name: FleetKeysName): FleetKeys {
    const keys = new FleetKeys(name, this.#deps);
    this.#all.push(keys);
    return keys;
  }

  /** Operators have confirmed that an older store is to be used. */
  forget(): void {
    for (const keys of this.#all) keys.forget();
  }

  /** Looks each minute whether the store still has the keys that this frontend uses. */
  startPuttingBack(onProblem: (problem: unknown) => void): Disposable {
    const timer = setInterval(() => {
      for (const keys of this.#all) void keys.putBack().catch(onProblem);
    }, PUT_BACK_MS).unref();
    return { [Symbol.dispose]: () => clearInterval(timer) };
  }
}
