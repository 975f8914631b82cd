import { setTimeout as delay } from 'node:timers/promises';
import type { Notices } from './notices.ts';
import { SayOnce } from './say-once.ts';

/** A domain-manager, as far as tokens are concerned. Nothing that it returns is trusted. */
export interface TokenSource {
  readonly address: string;
  /** A page of the tokens after that generation, oldest first; empty at the end. */
  readonly fetch: (after: number) => Promise<readonly Uint8Array[]>;
  /** Brings it a token that it lacks; absent where tokens are only read. */
  readonly store?: ((token: Uint8Array) => Promise<unknown>) | undefined;
  readonly close: () => void;
}

export interface TokenFollowerOptions<S extends TokenSource = TokenSource> {
  readonly sources: readonly S[];
  readonly notices: Pick<Notices, 'subscribe'>;
  /** The newest generation taken, or taken from this source; 0 before the first. */
  readonly generation: (from: S) => number;
  /**
   * Verifies tokens that follow on that generation, and keeps them. Throws for one that does not verify; the tokens
   * before it may be kept.
   */
  readonly take: (tokens: readonly Uint8Array[], from: S) => Promise<unknown>;
  /** How long after a look the next one follows on its own. */
  readonly pollMs: () => number;
  /** A source did not answer. Repetitions are reported once, here and below. */
  readonly onUnreachable: (address: string, error: unknown) => void;
  /** A source returned a token that does not verify. */
  readonly onRefused: (address: string, error: unknown) => void;
}

/**
 * Follows the growing chain of domain tokens: when a notice says so, on request, and every few seconds in any case.
 * Each domain-manager is asked at its own pace, and whatever verifies is taken: one that withholds tokens, returns
 * others or hangs cannot keep anyone from the newest.
 */
export class TokenFollower<S extends TokenSource = TokenSource> implements AsyncDisposable {
  readonly #sources: readonly SourceFollower<S>[];
  readonly #turns = new Turns();

  constructor(options: TokenFollowerOptions<S>) {
    this.#sources = options.sources.map((source) => new SourceFollower(source, options, this.#turns));
    options.notices.subscribe('domainToken', () => this.look());
    this.look();
  }

  /** Looks now. If a look is running, looks once more afterwards. */
  look(): void {
    for (const source of this.#sources) source.look();
  }

  /** Resolves once every source has returned all that it has, or failed, or `atMostMs` have passed. */
  async firstLook(atMostMs: number): Promise<void> {
    const looks = this.#sources.map(({ looking }) => looking);
    await Promise.race([Promise.all(looks), delay(atMostMs, undefined, { ref: false })]);
  }

  /**
   * Resolves once one source has returned everything newer than what was there at the call, or once all have answered
   * or failed.
   */
  async refresh(): Promise<void> {
    const before = Math.max(...this.#sources.map(({ generation }) => generation));
    const looks = this.#sources.map(async (source) => {
      await source.lookAfresh();
      if (source.generation <= before) throw new Error('nothing newer');
    });
    await Promise.any(looks).catch(() => {});
  }

  /** Waits for tokens that are being taken, but not for a source that hangs. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const source of this.#sources) source.stop();
    await this.#turns.enter(async () => {});
  }
}

/** Runs actions one after the other. */
class Turns {
  #last: Promise<unknown> = Promise.resolve();

  enter<T>(act: () => Promise<T>): Promise<T> {
    const done = this.#last.then(act);
    this.#last = done.catch(() => {});
    return done;
  }
}

/** The minimum time between two looks: anyone who reaches the service may be able to trigger one. */
const REST_MS = 100;

class SourceFollower<S extends TokenSource> {
  readonly #source: S;
  readonly #options: TokenFollowerOptions<S>;
  readonly #turns: Turns;
  readonly #stop = new AbortController();
  readonly #said = new SayOnce();
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #again = false;
  /** In terms of `performance.now()`. */
  #lookedAt = -REST_MS;

  constructor(source: S, options: TokenFollowerOptions<S>, turns: Turns) {
    this.#source = source;
    this.#options = options;
    this.#turns = turns;
  }

  get looking(): Promise<void> {
    return this.#looking ?? Promise.resolve();
  }

  get generation(): number {
    return this.#options.generation(this.#source);
  }

  look(): void {
    if (this.#stop.signal.aborted) return;
    this.#again = this.#looking !== undefined;
    clearTimeout(this.#timer);
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
      this.#lookedAt = performance.now();
      if (this.#stop.signal.aborted) return;
      if (this.#again) this.look();
      else this.#timer = setTimeout(() => this.look(), this.#options.pollMs());
    });
  }

  /** Looks, and resolves after a look that did not begin before the call. */
  async lookAfresh(): Promise<void> {
    const earlier = this.#looking;
    this.look();
    await earlier;
    await this.#looking;
  }

  stop(): void {
    this.#stop.abort();
    clearTimeout(this.#timer);
    this.#source.close();
  }

  async #look(): Promise<void> {
    const { address, fetch } = this.#source;
    const { onUnreachable } = this.#options;
    try {
      const rest = this.#lookedAt + REST_MS - performance.now();
      if (rest > 0) await delay(rest, undefined, { signal: this.#stop.signal });
      for (;;) {
        const after = this.generation;
        const tokens = await fetch(after);
        if (tokens.length === 0) return this.#said.over(address);
        if (!(await this.#turns.enter(() => this.#take(tokens, after)))) return;
      }
    } catch (error) {
      this.#say(onUnreachable, error);
    }
  }

  /** Returns whether there may be more. */
  async #take(tokens: readonly Uint8Array[], after: number): Promise<boolean> {
    const { take, onRefused } = this.#options;
    if (this.#stop.signal.aborted) return false;
    // Another source was faster: ask for what follows.
    if (this.generation !== after) return true;
    try {
      await take(tokens, this.#source);
    } catch (error) {
      this.#say(onRefused, error);
      return false;
    }
    return this.generation > after;
  }

  #say(on: (address: string, error: unknown) => void, error: unknown): void {
    const { address } = this.#source;
    if (!this.#stop.signal.aborted && this.#said.isNew(address, error)) on(address, error);
  }
}
