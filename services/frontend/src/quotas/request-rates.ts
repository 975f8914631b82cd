import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { awsRates, type RateClass, type Rates } from './rates.ts';

/** The member with the algorithm, which is one of the key's kind, or nothing is done with the key. */
const algorithmIn: ReadonlyMap<string, string> = new Map([
  ['Encrypt', 'EncryptionAlgorithm'],
  ['Decrypt', 'EncryptionAlgorithm'],
  ['ReEncrypt', 'SourceEncryptionAlgorithm'],
  ['Sign', 'SigningAlgorithm'],
  ['Verify', 'SigningAlgorithm'],
  ['DeriveSharedSecret', 'KeyAgreementAlgorithm'],
  ['Encapsulate', 'EncapsulationAlgorithm'],
  ['Decapsulate', 'EncapsulationAlgorithm'],
]);
const symmetric: ReadonlySet<string> = new Set([
  'GenerateDataKey',
  'GenerateDataKeyWithoutPlaintext',
  'GenerateMac',
  'GenerateRandom',
  'VerifyMac',
]);

/** The class of a request, by what it says, so that it is charged before anything is done for it. */
export function rateClassOf(operation: string, input: Readonly<Record<string, unknown>>): RateClass {
  const algorithm = algorithmIn.get(operation);
  if (algorithm !== undefined) return algorithmClassOf(input[algorithm]);
  if (symmetric.has(operation)) return 'SymmetricCryptography';
  if (operation.startsWith('GenerateDataKeyPair')) return pairClassOf(input['KeyPairSpec']);
  return operation as RateClass;
}

/** Undefined, because the request cannot be read: the class of most. */
function algorithmClassOf(algorithm: unknown): RateClass {
  if (typeof algorithm !== 'string' || algorithm === 'SYMMETRIC_DEFAULT') return 'SymmetricCryptography';
  if (algorithm.startsWith('RSA')) return 'RsaCryptography';
  return algorithm.startsWith('ML_') ? 'MlCryptography' : 'EccCryptography';
}

function pairClassOf(keyPairSpec: unknown): RateClass {
  const own = `GenerateDataKeyPair/${String(keyPairSpec)}`;
  return Object.hasOwn(awsRates, own) ? (own as RateClass) : 'GenerateDataKeyPair/ECC';
}

const KMS_EXCEEDED = 'You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.';

/** IAM and STS use different wording. */
const ofQuery: ReadonlySet<RateClass> = new Set(['Sts', 'IamRead', 'IamWrite', 'Simulations', 'RecordReads']);

/** How often frontends exchange counts, and the period over which rates are counted. */
export const WINDOW_MS = 1_000;
/**
 * Quiet windows after which an account's shares are forgotten: who asks of all frontends in every other window must not
 * begin each time with the whole rate at each.
 */
const QUIET_WINDOWS = 5;
/** Usage below this part of a rate is not worth reporting to others. */
const TELL_FROM = 1 / 16;

/** Who is charged: callers through their own account, whoever owns the key, but for its many grants its owner. */
export interface Charged {
  readonly accountId: string;
  readonly region: string;
}

/** IAM's records belong to no Region. Neither do requests that nobody signed for one. */
export const NO_REGION = 'aws-global';

/** Requests of each class in a window, refused ones included, and what was owed before. */
export type Asked = Readonly<Partial<Record<RateClass, number>>>;

/** Where a fleet's frontends report their requests to each other. */
export interface AskedElsewhere {
  /** Reports the requests here and returns each other frontend's from its last window. */
  exchange(of: Charged, asked: Asked): Promise<readonly Asked[]>;
}

interface Use {
  asked: number;
  used: number;
  /** How much may be used here in a window. */
  share: number;
  /** Windows in a row without a request. */
  quiet: number;
}

interface Account extends Charged {
  readonly uses: Map<RateClass, Use>;
}

interface RequestRatesDeps {
  readonly rates: Rates;
  readonly elsewhere: AskedElsewhere;
  /** Called for each request that is refused. */
  readonly onRefused: (rateClass: RateClass) => void;
  /** Called when the exchange fails; each frontend then keeps its present share. */
  readonly onProblem: (problem: unknown) => void;
}

/**
 * Counts an account's requests in a Region by class, and refuses those above the rate. No request waits for another
 * frontend: once a second the frontends report their requests to each other and divide the rates.
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

  /** Throws ThrottlingException with AWS's text. */
  charge({ accountId, region }: Charged, rateClass: RateClass): void {
    const use = this.#useOf(accountId, region, rateClass);
    use.asked += 1;
    if (use.used >= use.share) throw this.refusal(rateClass);
    use.used += 1;
  }

  /**
   * Counts what a request that was admitted turns out to cost, beside itself, in requests. Throws likewise, but only if
   * more than the rate was used up before.
   */
  chargeMore({ accountId, region }: Charged, rateClass: RateClass, requests: number): void {
    const use = this.#useOf(accountId, region, rateClass);
    use.asked += requests;
    if (use.used > use.share) throw this.refusal(rateClass);
    use.used += requests;
  }

  /** Counts what it has cost, and refuses nothing. What is above the rate is charged to the windows that come. */
  count({ accountId, region }: Charged, rateClass: RateClass, requests: number): void {
    const use = this.#useOf(accountId, region, rateClass);
    use.asked += requests;
    use.used += requests;
  }

  /** The ThrottlingException for a request of the class, which is counted as refused. */
  refusal(rateClass: RateClass): KmsException {
    this.#deps.onRefused(rateClass);
    return new KmsException('ThrottlingException', ofQuery.has(rateClass) ? 'Rate exceeded' : KMS_EXCEEDED);
  }

  /** Called every second. */
  async endWindow(): Promise<void> {
    const ended = [...this.#accounts.values()];
    const told = ended.map((account) => this.#tell(account, this.#begin(account)));
    await Promise.all(told);
  }

  /**
   * Starts an account's new window and returns what was asked in the last one. An account that asked for nothing in the
   * last few is forgotten.
   */
  #begin(account: Account): Asked {
    const asked: Partial<Record<RateClass, number>> = {};
    for (const [rateClass, use] of account.uses) {
      use.quiet = use.asked === 0 ? use.quiet + 1 : 0;
      if (use.quiet === 0) asked[rateClass] = use.asked;
      if (use.quiet >= QUIET_WINDOWS) account.uses.delete(rateClass);
      // What is owed is asked for again, so that a share suffices to pay it.
      use.used = use.asked = Math.max(0, use.used - use.share);
    }
    if (account.uses.size === 0) this.#accounts.delete(nameOf(account.accountId, account.region));
    return asked;
  }

  async #tell(account: Account, asked: Asked): Promise<void> {
    const { rates, elsewhere, onProblem } = this.#deps;
    const uses = [...account.uses].filter(([, { quiet }]) => quiet === 0);
    const isMuch = uses.some(
      // A share that was made small grows again only by hearing of the others.
      ([rateClass, { share }]) => asked[rateClass]! >= rates[rateClass] * TELL_FROM || share < rates[rateClass],
    );
    if (!isMuch) return;
    try {
      const others = await elsewhere.exchange(account, asked);
      for (const [rateClass, use] of uses) {
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
      account.uses.set(rateClass, (use = { asked: 0, used: 0, share: this.#deps.rates[rateClass], quiet: 0 }));
    return use;
  }
}

function nameOf(accountId: string, region: string): string {
  return `${accountId}/${region}`;
}

/**
 * One frontend's share of a rate for the next second, from its own requests and all others' in the last one: what the
 * others leave, or its proportion if all together exceed the rate. Never zero, so that a quiet frontend can begin.
 */
export function shareOf(rate: number, own: number, theirs: number): number {
  const all = own + theirs;
  return Math.max(1, all <= rate ? rate - theirs : Math.floor((rate * own) / all));
}
