import { TrackedOperation } from '@keyfleet/shared/api/choices';
import type { Clock } from '@keyfleet/shared/clock';
import type { KmsKey } from '../keys/kms-key.ts';
import type { KeyUse, LastUsage, LastUsageStore } from '../store/store.ts';
import { latest, LatestNoted } from './latest-noted.ts';

/** The most that a crash loses. */
export const FLUSH_MS = 5_000;

const tracked: ReadonlySet<string> = new Set(TrackedOperation.options);

export interface LastUsagesDeps {
  readonly usages: LastUsageStore;
  readonly clock: Clock;
  /** Called when usages could not be written. They are kept and retried. */
  readonly onProblem: (problem: unknown) => void;
}

/** A successful request. */
export interface Use {
  /** The operation's name. */
  readonly name: string;
  readonly keys: readonly KmsKey[];
  readonly request: { readonly requestId: string };
}

interface Noted extends KeyUse {
  readonly usage: { -readonly [M in keyof LastUsage]: LastUsage[M] };
}

/** When and for what each key was last used on any frontend. */
export class LastUsages implements AsyncDisposable {
  readonly #deps: LastUsagesDeps;
  /** By key ARN. */
  readonly #noted: LatestNoted<Noted>;

  constructor(deps: LastUsagesDeps) {
    this.#deps = deps;
    this.#noted = new LatestNoted({
      keep: (noted) => deps.usages.keepLastUsages(noted),
      flushMs: FLUSH_MS,
      onProblem: deps.onProblem,
    });
  }

  /** Called for every successful request; ignores those that use no key. `eventId` is the audit record's. */
  note({ name, keys, request }: Use, eventId: string): void {
    if (!tracked.has(name)) return;
    const operation = name as LastUsage['operation'];
    const usedAt = this.#deps.clock.now();
    for (const { arn, region, keyId } of keys) {
      const usage = this.#noted.unwritten(arn)?.usage;
      if (usage === undefined) {
        const first = { operation, usedAt, requestId: request.requestId, eventId };
        this.#noted.add(arn, { region, keyId, usage: first });
        continue;
      }
      usage.operation = operation;
      usage.usedAt = usedAt;
      usage.requestId = request.requestId;
      usage.eventId = eventId;
    }
  }

  /** Undefined if the key was never used. Does not include what another frontend has noted since its last flush. */
  async find({ arn, region, keyId }: KmsKey): Promise<LastUsage | undefined> {
    const noted = this.#noted.find(arn)?.usage;
    const stored = await this.#deps.usages.findLastUsage(region, keyId);
    return latest(noted, stored);
  }

  /** Writes everything noted so far. Never throws: what cannot be written is retried later. */
  flush(): Promise<void> {
    return this.#noted.flush();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#noted[Symbol.asyncDispose]();
  }
}
