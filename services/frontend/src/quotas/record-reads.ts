import { Turns } from '../edge/turns.ts';
import { NO_REGION, type RequestRates } from './request-rates.ts';

/**
 * Takes about as long as what a record takes whatever its length: 9 microseconds of Redis and 1.6 for each KB, 45 and 5
 * of a frontend.
 */
const BYTES_PER_PIECE = 8 * 1024;
/**
 * Of one account, of each kind. An identity has 14 MB at most, by IAM's quotas: what is under way, and not charged yet,
 * is paid within two seconds.
 */
const AT_ONCE = 4;
/** More callers than an account's begin at once. Each holds its request while it waits. */
const MAX_WAITING = 1_000;

interface Account {
  readonly turns: Turns;
  /** Those that wait, too. */
  readers: number;
}

/**
 * Bounds what an account makes a frontend read from Redis where no other rate does: for who a caller is, which is read
 * before the request is charged, and where one request may read as much as thousands do. What is read is charged as it
 * comes, and nothing begins while more is owed than the rate. Who begins is served, so that nobody's identity is too
 * large to be read. What is cached costs nothing.
 *
 * Each kind of reading has turns of its own, and all have one rate: whoever reads may wait for a reading of another
 * kind.
 */
export class RecordReads {
  readonly #rates: Pick<RequestRates, 'charge' | 'count' | 'refusal'>;
  readonly #accounts = new Map<string, Account>();

  constructor(rates: Pick<RequestRates, 'charge' | 'count' | 'refusal'>) {
    this.#rates = rates;
  }

  /**
   * Runs `read` in its turn, which tells `onRead` of the bytes of each record. Throws ThrottlingException instead if
   * the account's rate is used up then, or too many wait.
   */
  async within<T>(accountId: string, read: (onRead: (bytes: number) => void) => Promise<T>): Promise<T> {
    const charged = { accountId, region: NO_REGION };
    let account = this.#accounts.get(accountId);
    if (account === undefined) this.#accounts.set(accountId, (account = { turns: new Turns(AT_ONCE), readers: 0 }));
    const { turns } = account;
    if (turns.waiting >= MAX_WAITING) throw this.#rates.refusal('RecordReads');
    account.readers += 1;
    await new Promise<void>((begin) => turns.enter(begin));
    try {
      this.#rates.charge(charged, 'RecordReads');
      return await read((bytes) => this.#rates.count(charged, 'RecordReads', 1 + Math.floor(bytes / BYTES_PER_PIECE)));
    } finally {
      turns.leave();
      account.readers -= 1;
      if (account.readers === 0) this.#accounts.delete(accountId);
    }
  }
}
