import type { Clock } from '@keyfleet/shared/clock';
import type { AccessKeyUse, AccessKeyUseStore } from '../store/store.ts';
import { latest, LatestNoted } from './latest-noted.ts';

/** This serves people who look for keys unused for weeks. AWS is accurate to a quarter of an hour. */
export const FLUSH_MS = 5 * 60_000;

export interface AccessKeyUsesDeps {
  readonly uses: AccessKeyUseStore;
  readonly clock: Clock;
  /** Called when uses could not be written. They are kept and retried. */
  readonly onProblem: (problem: unknown) => void;
}

interface Noted {
  readonly accessKeyId: string;
  readonly use: { -readonly [M in keyof AccessKeyUse]: AccessKeyUse[M] };
}

/** When, and for which service, each access key last signed a request to any frontend. */
export class AccessKeyUses implements AsyncDisposable {
  readonly #deps: AccessKeyUsesDeps;
  readonly #noted: LatestNoted<Noted>;

  constructor(deps: AccessKeyUsesDeps) {
    this.#deps = deps;
    this.#noted = new LatestNoted({
      keep: (noted) => Promise.all(noted.map(({ accessKeyId, use }) => deps.uses.keepAccessKeyUse(accessKeyId, use))),
      flushMs: FLUSH_MS,
      onProblem: deps.onProblem,
    });
  }

  /** Called for every request with a genuine signature. */
  note(accessKeyId: string, service: string, region: string): void {
    const usedAt = this.#deps.clock.now();
    const use = this.#noted.unwritten(accessKeyId)?.use;
    if (use === undefined) {
      this.#noted.add(accessKeyId, { accessKeyId, use: { usedAt, service, region } });
      return;
    }
    use.usedAt = usedAt;
    use.service = service;
    use.region = region;
  }

  /** Undefined if the key was never used. Does not include what another frontend has noted since its last flush. */
  async find(accessKeyId: string): Promise<AccessKeyUse | undefined> {
    const noted = this.#noted.find(accessKeyId)?.use;
    const stored = await this.#deps.uses.findAccessKeyUse(accessKeyId);
    return latest(noted, stored);
  }

  /** Writes everything noted so far. Never throws. */
  flush(): Promise<void> {
    return this.#noted.flush();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#noted[Symbol.asyncDispose]();
  }
}
