import { KmsException } from '@keyfleet/shared/errors/exceptions';
import type { RateClass, Rates } from './rate-classes.ts';
import { shareOf } from './share.ts';

/** How often frontends tell each other, and what rates are counted over. */
export const WINDOW_MS = 1_000;
/** Who asks for less than this part of a rate is not worth telling others of. */
const TELL_FROM = 1 / 16;

/** Who is charged: callers by their own account, whosever key they use. */
export interface Charged {
  readonly accountId: string;
  readonly region: string;
}

/** What was asked for of each class in a window, also what was refused. */
export type Asked = Readonly<Partial<Record<RateClass, number>>>;

/** Where the frontends of a fleet tell each other what was asked of them. */
export interface AskedElsewhere {
  /** Tells what was asked here and answers what was asked of each other frontend in its last window. */
  exchange(of: Charged, asked: Asked): Promise<readonly Asked[]>;
}

interface Use {
  asked: number;
  used: number;
  /** What may be used here in a window. */
  share: number;
}

interface Account extends Charged {
  readonly uses: Map<RateClass, Use>;
}

export interface RequestRatesDeps {
  readonly rates: Rates;
  readonly elsewhere: AskedElsewhere;
  /** Told of each request that is refused. */
  readonly onRefused: (rateClass: RateClass) => void;
  /** What could not be told or heard: each frontend goes on with the share that it has. */
  readonly onProblem: (problem: unknown) => void;
}

/**
 * Counts requests of an account in a Region by class, and refuses those above the rate. No request waits for another frontend: once a second
 * those tell each other what was asked of them and take their shares of it.
 */
export class RequestRates implements Disposable {
  readonly #deps: RequestRatesDeps;
  readonly #accounts = new Map<string, Account>();
  readonly #timer: NodeJS.Timeout;

  constructor(deps: RequestRatesDeps) {
    this.#deps = deps;
    this.#timer = setInterval(() => void this.endWindow(), WINDOW_MS).unref();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  /** Throws ThrottlingException, in AWS's words. */
  charge({ accountId, region }: Charged, rateClass: RateClass): void {
    const use = this.#useOf(accountId, region, rateClass);
    use.asked += 1;
    if (use.used < use.share) {
      use.used += 1;
      return;
    }
    this.#deps.onRefused(rateClass);
    const message = 'You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.';
    throw new KmsException('ThrottlingException', message);
  }

  /** Every second. */
  async endWindow(): Promise<void> {
    const ended = [...this.#accounts.values()];
    const told = ended.map((account) => this.#tell(account, this.#begin(account)));
    await Promise.all(told);
  }

  /** A new window for an account; who asked for nothing in the one before is forgotten. Answers what was asked. */
  #begin(account: Account): Asked {
    const asked: Partial<Record<RateClass, number>> = {};
    for (const [rateClass, use] of account.uses) {
      if (use.asked === 0) account.uses.delete(rateClass);
      else asked[rateClass] = use.asked;
      use.asked = 0;
      use.used = 0;
    }
    if (account.uses.size === 0) this.#accounts.delete(nameOf(account.accountId, account.region));
    return asked;
  }

  async #tell(account: Account, asked: Asked): Promise<void> {
    const { rates, elsewhere, onProblem } = this.#deps;
    const isMuch = [...account.uses.keys()].some((rateClass) => asked[rateClass]! >= rates[rateClass] * TELL_FROM);
    if (!isMuch) return;
    try {
      const others = await elsewhere.exchange(account, asked);
      for (const [rateClass, use] of account.uses) {
        const theirs = others.reduce((sum, other) => sum + (other[rateClass] ?? 0), 0);
        use.share = shareOf(rates[rateClass], asked[rateClass] ?? 0, theirs);
      }
    } catch (problem) {
      onProblem(problem);
    }
  }

  #useOf(accountId: string, region: string, rateClass: RateClass): Use {
    const name = nameOf(accountId, region);
    let account = this.#accounts.get(name);
    if (account === undefined) this.#accounts.set(name, (account = { accountId, region, uses: new Map() }));
    let use = account.uses.get(rateClass);
    if (use === undefined)
      account.uses.set(rateClass, (use = { asked: 0, used: 0, share: this.#deps.rates[rateClass] }));
    return use;
  }
}

function nameOf(accountId: string, region: string): string {
  return `${accountId}/${region}`;
}
