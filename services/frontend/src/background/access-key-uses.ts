import type { Clock } from '@keyfleet/shared/clock';
import type { AccessKeyUse, AccessKeyUseStore } from '../store/store.ts';
import { LatestNoted } from './latest-noted.ts';

/** Whoever asks looks for keys that nobody has used for weeks: AWS tells it to a quarter of an hour. */
export const FLUSH_MS = 5 * 60_000;

export interface AccessKeyUsesDeps {
  readonly uses: AccessKeyUseStore;
  readonly clock: Clock;
  /** Uses could not be written; they are kept and tried again. */
  readonly onProblem: (problem: unknown) => void;
}

interface Noted {
  readonly accessKeyId: string;
  readonly use: { -readonly [M in keyof AccessKeyUse]: AccessKeyUse[M] };
}

/** When and for which service each access key last signed, on whichever frontend. */
export class AccessKeyUses implements AsyncDisposable {
  readonly #deps: AccessKeyUsesDeps;
  readonly #noted: LatestNoted<Noted>;

  constructor(deps: AccessKeyUsesDeps) {
    this.#deps = deps;
    this.#noted = new LatestNoted({
      keep: ({ accessKeyId, use }) => deps.uses.keepAccessKeyUse(accessKeyId, use),
      flushMs: FLUSH_MS,
      onProblem: deps.onProblem,
    });
  }

  /** Called for every request whose signature is genuine. */
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

  /** Undefined if it was never used. What another frontend noted since its last flush is not known yet. */
  async find(accessKeyId: string): Promise<AccessKeyUse | undefined> {
    const noted = this.#noted.find(accessKeyId)?.use;
    const stored = await this.#deps.uses.findAccessKeyUse(accessKeyId);
    return noted === undefined || (stored !== undefined && stored.usedAt > noted.usedAt) ? stored : noted;
  }

  /** Writes what was noted until now. Never throws. */
  flush(): Promise<void> {
    return this.#noted.flush();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#noted[Symbol.asyncDispose]();
  }
}
