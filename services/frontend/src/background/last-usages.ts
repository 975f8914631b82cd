import { TrackedOperation } from '@keyfleet/shared/api/choices';
import type { Clock } from '@keyfleet/shared/clock';
import type { KmsKey } from '../keys/kms-key.ts';
import type { LastUsage, LastUsageStore } from '../store/store.ts';

/** What a crash loses at most. */
export const FLUSH_MS = 5_000;
/** Keys between two flushes; past it, further ones are reported and not kept. */
const MAX_KEYS = 100_000;
/** Written at once: few enough that a flush never holds up the requests that share the event loop and Redis. */
const BATCH = 200;

const tracked: ReadonlySet<string> = new Set(TrackedOperation.options);

export interface LastUsagesDeps {
  readonly usages: LastUsageStore;
  readonly clock: Clock;
  /** Usages could not be written; they are kept and tried again. */
  readonly onProblem: (problem: unknown) => void;
}

/** A successful request. */
export interface Use {
  /** The operation's. */
  readonly name: string;
  readonly keys: readonly KmsKey[];
  readonly request: { readonly requestId: string };
}

interface Noted extends Pick<KmsKey, 'region' | 'keyId'> {
  readonly usage: { -readonly [M in keyof LastUsage]: LastUsage[M] };
}

/**
 * When and for what each key was last used, by whichever frontend. A use is noted in memory; every few seconds, the
 * last one of each key that was used meanwhile is written. No request waits for it, and a key that is used all the time
 * costs one write per interval.
 */
export class LastUsages implements AsyncDisposable {
  readonly #deps: LastUsagesDeps;
  /** By key ARN. */
  #unwritten = new Map<string, Noted>();
  #writing: ReadonlyMap<string, Noted> = new Map();
  #flushing: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #left = 0;

  constructor(deps: LastUsagesDeps) {
    this.#deps = deps;
  }

  /** Called for every successful request; does nothing for those that use no key. `eventId`: of the audit record. */
  note({ name, keys, request }: Use, eventId: string): void {
    if (!tracked.has(name)) return;
    const usedAt = this.#deps.clock.now();
    for (const key of keys) {
      const usage = this.#unwritten.get(key.arn)?.usage;
      if (usage === undefined) {
        this.#add(key, { operation: name as LastUsage['operation'], usedAt, requestId: request.requestId, eventId });
        continue;
      }
      // Nothing is allocated for a key that is used again and again.
      usage.operation = name as LastUsage['operation'];
      usage.usedAt = usedAt;
      usage.requestId = request.requestId;
      usage.eventId = eventId;
    }
  }

  /** Undefined if it was never used. What another frontend noted since its last flush is not known yet. */
  async find({ arn, region, keyId }: KmsKey): Promise<LastUsage | undefined> {
    const noted = (this.#unwritten.get(arn) ?? this.#writing.get(arn))?.usage;
    const stored = await this.#deps.usages.findLastUsage(region, keyId);
    return noted === undefined || (stored !== undefined && stored.usedAt > noted.usedAt) ? stored : noted;
  }

  /** Writes what was noted until now. Never throws: what cannot be written is tried again later. */
  async flush(): Promise<void> {
    this.#flushing = this.#flushing.then(() => this.#write());
    await this.#flushing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.flush();
    clearTimeout(this.#timer);
  }

  #add({ arn, region, keyId }: KmsKey, usage: LastUsage): void {
    if (this.#unwritten.size < MAX_KEYS) this.#unwritten.set(arn, { region, keyId, usage });
    else this.#left++;
    this.#flushLater();
  }

  #flushLater(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.flush();
    }, FLUSH_MS).unref();
  }

  async #write(): Promise<void> {
    const { usages, onProblem } = this.#deps;
    const writing = this.#unwritten;
    this.#unwritten = new Map();
    this.#writing = writing;
    if (this.#left > 0) onProblem(new Error(`${this.#left} uses were not noted: too many different keys at once`));
    this.#left = 0;
    try {
      const entries = [...writing.values()];
      for (let i = 0; i < entries.length; i += BATCH) {
        const batch = entries.slice(i, i + BATCH);
        await Promise.all(batch.map(({ region, keyId, usage }) => usages.keepLastUsage(region, keyId, usage)));
      }
    } catch (error) {
      onProblem(error);
      this.#takeBack(writing);
    }
    this.#writing = new Map();
  }

  /** Some may be written already: writing one twice does no harm. */
  #takeBack(writing: ReadonlyMap<string, Noted>): void {
    for (const [arn, entry] of writing) {
      if (this.#unwritten.size < MAX_KEYS && !this.#unwritten.has(arn)) this.#unwritten.set(arn, entry);
    }
    this.#flushLater();
  }
}
