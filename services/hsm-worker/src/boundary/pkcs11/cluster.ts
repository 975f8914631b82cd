import { assertWaiting, type Caller } from '../caller.ts';
import { RefusedError } from '../errors.ts';
import { START_MS, TokenProcess, type TokenProcessOptions } from './token-process.ts';
import type { TokenWork } from './token-process-main.ts';

export interface ClusterOptions extends TokenProcessOptions {
  /** The owner: the cluster can back no key store of another account or Region. */
  readonly accountId: string;
  readonly region: string;
  /** DER of the certificate that a customer must present to create a key store in it. */
  readonly trustAnchor: Uint8Array;
  /** The user that logs in, if a token has several: their password is `<user>:<password>`. */
  readonly user?: string | undefined;
  /** The number of sessions, each in its own process. */
  readonly sessions: number;
}

/** How the user logs in. */
export interface Login {
  /** Tells this password from others without saying it: the cluster keeps the id, and no password. */
  readonly id: string;
  readonly password: Uint8Array;
}

/** Requests that may wait for a session. */
const MAX_WAITING = 256;

interface Waiter {
  readonly timer: NodeJS.Timeout;
  take(process: TokenProcess): void;
  refuse(error: RefusedError): void;
}

/**
 * A CloudHSM cluster, as the API and customers call it: a token behind a PKCS#11 module, with some sessions. Processes
 * start on demand.
 */
export class Cluster implements Disposable {
  readonly options: ClusterOptions;
  readonly #processes = new Set<TokenProcess>();
  readonly #idle: TokenProcess[] = [];
  readonly #waiters: Waiter[] = [];
  /** The login that was refused: retrying it would lock the user. */
  #refused: string | undefined;
  /** The last login that was begun, while it runs. */
  #loggingIn: Promise<void> | undefined;

  constructor(options: ClusterOptions) {
    this.options = options;
  }

  /** Logs in, even if already logged in. Refuses with RefusedError. */
  connect(login: Login): Promise<void> {
    this.#refused = undefined;
    return this.#withProcess((process) => this.#login(process, login));
  }

  /** Refuses with RefusedError; at its turn, as `assertWaiting`. */
  use(login: Login, work: TokenWork, caller?: Pick<Caller, 'isWaiting'>): Promise<unknown> {
    return this.#withProcess(async (process) => {
      if (process.loggedIn !== login.id) await this.#login(process, login);
      assertWaiting(caller);
      return process.ask(work);
    });
  }

  /** Ends every session. What uses one at that moment, or waits for one, is refused with `cluster-away`. */
  disconnect(): void {
    this.#refused = undefined;
    for (const waiter of this.#waiters.splice(0)) {
      clearTimeout(waiter.timer);
      waiter.refuse(new RefusedError('cluster-away'));
    }
    for (const process of this.#processes) process.kill();
  }

  [Symbol.dispose](): void {
    this.disconnect();
  }

  /** Sessions log in one after the other, so that the token is asked once about a password that it refuses. */
  async #login(process: TokenProcess, login: Login): Promise<void> {
    await process.opened;
    const before = this.#loggingIn?.catch((error: unknown) => {
      // Whoever waited behind a token that hangs has waited long enough.
      if (isAway(error)) throw error;
    });
    const turn = Promise.resolve(before).then(() => this.#tryLogin(process, login));
    this.#loggingIn = turn;
    try {
      await turn;
    } finally {
      if (this.#loggingIn === turn) this.#loggingIn = undefined;
    }
  }

  async #tryLogin(process: TokenProcess, { id, password }: Login): Promise<void> {
    if (this.#refused === id) throw new RefusedError('cluster-password');
    process.loggedIn = undefined;
    const { user } = this.options;
    const pin = Buffer.concat([Buffer.from(user === undefined ? '' : `${user}:`), password]);
    try {
      await process.login(pin);
    } catch (error) {
      if (error instanceof RefusedError && error.refusal === 'cluster-password') this.#refused = id;
      throw error;
    } finally {
      pin.fill(0);
    }
    process.loggedIn = id;
  }

  async #withProcess<T>(use: (process: TokenProcess) => Promise<T>): Promise<T> {
    const process = await this.#take();
    try {
      return await use(process);
    } catch (error) {
      // Whatever the cause, the next session starts in a fresh process.
      if (isAway(error)) process.kill();
      throw error;
    } finally {
      this.#give(process);
    }
  }

  #take(): TokenProcess | Promise<TokenProcess> {
    for (let process = this.#idle.pop(); process !== undefined; process = this.#idle.pop()) {
      if (!process.isOver) return process;
      this.#processes.delete(process);
    }
    if (this.#processes.size < this.options.sessions) return this.#started();
    if (this.#waiters.length >= MAX_WAITING) throw new RefusedError('cluster-sessions');
    return new Promise((take, reject) => {
      const timer = setTimeout(() => {
        this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
        reject(new RefusedError('cluster-away'));
      }, this.#patienceMs);
      const waiter = { timer, take, refuse: reject };
      this.#waiters.push(waiter);
    });
  }

  /** How long a call waits for a session: its user may have to wait until it has started. */
  get #patienceMs(): number {
    const { timeoutMs } = this.options;
    return [...this.#processes].every(({ isOpen }) => isOpen) ? timeoutMs : START_MS + timeoutMs;
  }

  #give(process: TokenProcess): void {
    if (process.isOver) this.#processes.delete(process);
    const waiter = this.#waiters.shift();
    if (waiter === undefined) {
      if (!process.isOver) this.#idle.push(process);
      return;
    }
    clearTimeout(waiter.timer);
    waiter.take(process.isOver ? this.#started() : process);
  }

  #started(): TokenProcess {
    const process = new TokenProcess(this.options);
    this.#processes.add(process);
    return process;
  }
}

function isAway(error: unknown): boolean {
  return error instanceof RefusedError && error.refusal === 'cluster-away';
}
