import { KmsException } from '@keyfleet/shared/errors/exceptions';

/**
 * Requests per second that AWS takes from an account in a Region, using the numbers for most Regions (KMS Developer
 * Guide, "Request quotas"). Requests of one class share its rate: cryptography by kind of key, everything else by
 * operation.
 */
export const awsRates = {
  /** AWS's number for all of STS (IAM User Guide, "IAM and AWS STS quotas"). */
  Sts: 600,
  /** AWS publishes no numbers for IAM; these are about what it takes. */
  IamRead: 100,
  IamWrite: 20,
  /**
   * Ours, in every profile: pages of grants that decisions read beyond the usual ones. A page costs Redis and a
   * frontend 16 or 25 look-ups, and as many records; an account may have 50,000 grants on a key.
   */
  GrantPages: 500,
  /**
   * Ours, in every profile: pieces of work of simulations beyond a usual request of IAM. One takes as long as such a
   * request, some 0.4 ms.
   */
  Simulations: 250,
  /**
   * Ours, in every profile: 6 kB that policies take which are compiled, as they are at their first use, or again after
   * others took their place. They take some 20 µs: an account's policies a twentieth of a core.
   */
  PolicyReads: 2_500,
  /**
   * Ours, in every profile: records that are read to know who an account's callers are and what they may, and for its
   * requests of IAM and STS; of a long one each 8 KiB (record-reads.ts). They take a twentieth of Redis's thread, and a
   * fifth of a frontend's. An identity of usual size has ten: an account whose identities all changed has 400 read in a
   * second. The largest that IAM's quotas allow has 1,900, and is read twice.
   */
  RecordReads: 4_000,
  SymmetricCryptography: 10_000,
  RsaCryptography: 1_000,
  EccCryptography: 1_000,
  MlCryptography: 1_000,
  'GenerateDataKeyPair/RSA_2048': 20,
  'GenerateDataKeyPair/RSA_3072': 4,
  'GenerateDataKeyPair/RSA_4096': 1,
  'GenerateDataKeyPair/SM2': 25,
  'GenerateDataKeyPair/ECC': 100,
  CancelKeyDeletion: 5,
  ConnectCustomKeyStore: 5,
  CreateAlias: 5,
  CreateCustomKeyStore: 5,
  CreateGrant: 50,
  CreateKey: 5,
  DeleteAlias: 15,
  DeleteCustomKeyStore: 5,
  DeleteImportedKeyMaterial: 15,
  DescribeCustomKeyStores: 5,
  DescribeKey: 2_000,
  DisableKey: 5,
  DisableKeyRotation: 5,
  DisconnectCustomKeyStore: 5,
  EnableKey: 5,
  EnableKeyRotation: 15,
  GetKeyLastUsage: 5,
  GetKeyPolicy: 1_000,
  GetKeyRotationStatus: 1_000,
  GetParametersForImport: 1,
  GetPublicKey: 2_000,
  ImportKeyMaterial: 15,
  ListAliases: 500,
  ListGrants: 100,
  ListKeyPolicies: 100,
  ListKeyRotations: 100,
  ListKeys: 500,
  ListResourceTags: 2_000,
  ListRetirableGrants: 100,
  PutKeyPolicy: 15,
  ReplicateKey: 5,
  RetireGrant: 50,
  RevokeGrant: 50,
  RotateKeyOnDemand: 5,
  ScheduleKeyDeletion: 15,
  TagResource: 10,
  UntagResource: 5,
  UpdateAlias: 5,
  UpdateCustomKeyStore: 5,
  UpdateKeyDescription: 5,
  UpdatePrimaryRegion: 5,
} as const;

export type RateClass = keyof typeof awsRates;
export type Rates = Readonly<Record<RateClass, number>>;

export const rateClasses = Object.keys(awsRates) as [RateClass, ...RateClass[]];

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
