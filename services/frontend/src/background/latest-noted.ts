/** Limit between two flushes. Further entries are reported and dropped. */
const MAX_NOTED = 100_000;
/**
 * How many are written at once: few enough that a flush never delays the requests that share the event loop and Redis.
 */
const BATCH = 200;

export interface LatestNotedDeps<T> {
  readonly keep: (values: readonly T[]) => Promise<unknown>;
  /** The most that a crash loses, and the shortest time between two writes of one name. */
  readonly flushMs: number;
  /** Called when something could not be written. It is kept and retried. */
  readonly onProblem: (problem: unknown) => void;
}

/** The later of what this frontend noted and what is stored, which another may have written since. */
export function latest<U extends { readonly usedAt: number }>(
  noted: U | undefined,
  stored: U | undefined,
): U | undefined {
  return noted === undefined || (stored !== undefined && stored.usedAt > noted.usedAt) ? stored : noted;
}

/**
 * Keeps the latest of recurring events by name: in memory, and written at intervals. No request waits for it, and a
 * constantly recurring event costs one write per interval.
 */
export class LatestNoted<T> implements AsyncDisposable {
  readonly #deps: LatestNotedDeps<T>;
  #unwritten = new Map<string, T>();
  #writing: ReadonlyMap<string, T> = new Map();
  #flushing: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #left = 0;

  constructor(deps: LatestNotedDeps<T>) {
    this.#deps = deps;
  }

  /** May be changed in place, so that recurring events allocate nothing. */
  unwritten(name: string): T | undefined {
    return this.#unwritten.get(name);
  }

  /** What is not yet known to be stored. */
  find(name: string): T | undefined {
    return this.#unwritten.get(name) ?? this.#writing.get(name);
  }

  add(name: string, value: T): void {
    if (this.#unwritten.size < MAX_NOTED) this.#unwritten.set(name, value);
    else this.#left++;
    this.#flushLater();
  }

  /** Writes everything noted so far. Never throws: what cannot be written is retried later. */
  async flush(): Promise<void> {
    this.#flushing = this.#flushing.then(() => this.#write());
    await this.#flushing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.flush();
    clearTimeout(this.#timer);
  }

  #flushLater(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.flush();
    }, this.#deps.flushMs).unref();
  }

  async #write(): Promise<void> {
    const { keep, onProblem } = this.#deps;
    const writing = this.#unwritten;
    this.#unwritten = new Map();
    this.#writing = writing;
    if (this.#left > 0) onProblem(new Error(`${this.#left} uses were not noted: too many different keys at once`));
    this.#left = 0;
    try {
      const values = [...writing.values()];
      for (let i = 0; i < values.length; i += BATCH) await keep(values.slice(i, i + BATCH));
    } catch (error) {
      onProblem(error);
      this.#takeBack(writing);
    }
    this.#writing = new Map();
  }

  /** Some may be written already; writing one twice does no harm. */
  #takeBack(writing: ReadonlyMap<string, T>): void {
    for (const [name, value] of writing) {
      if (this.#unwritten.size < MAX_NOTED && !this.#unwritten.has(name)) this.#unwritten.set(name, value);
    }
    this.#flushLater();
  }
}
