import { type ChildProcess, fork } from 'node:child_process';
import { RefusedError } from '../errors.ts';
import type { TokenName } from './token-session.ts';
import type { TokenReply, TokenRequest, TokenWork } from './token-process-main.ts';

export interface TokenProcessOptions {
  readonly module: string;
  readonly token: TokenName;
  /** The module's whole environment. */
  readonly environment: Readonly<Record<string, string>>;
  /** How long an answer may take once the process has started. */
  readonly timeoutMs: number;
}

/** How long the process may take to start, and its module to find the token. */
export const START_MS = 10_000;

/**
 * A process with one session with a token. A module is a vendor's native code: it blocks its caller, hangs when its
 * network does, and may crash. So it runs in its own process, which is killed if it does not answer, and which sees
 * neither a domain key nor a customer's plaintext.
 */
export class TokenProcess implements Disposable {
  readonly #options: TokenProcessOptions;
  readonly #child: ChildProcess;
  /** When its module has found the token. */
  readonly opened: Promise<unknown>;
  #waiting: ((reply: TokenReply) => void) | undefined;
  #isOver = false;
  #isOpen = false;
  /** The `Login.id` of the session's current login. */
  loggedIn: string | undefined;

  constructor(options: TokenProcessOptions) {
    this.#options = options;
    this.#child = fork(new URL('./token-process-main.ts', import.meta.url), [], {
      execArgv: ['--experimental-ffi', '--disable-warning=ExperimentalWarning'],
      env: { ...options.environment },
      serialization: 'advanced',
      stdio: ['pipe', 'ignore', 'ignore', 'ipc'],
    });
    this.#child.on('message', (reply: TokenReply) => this.#waiting?.(reply));
    this.#child.stdin?.on('error', () => this.kill());
    for (const over of ['error', 'exit', 'disconnect']) this.#child.on(over, () => this.kill());
    const { module, token } = options;
    this.opened = this.#exchange({ name: 'open', module, token }, START_MS);
    // The first request gets the error.
    this.opened.then(() => (this.#isOpen = true)).catch(() => this.kill());
  }

  /** Its module has found the token. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /**
   * One request at a time. Refuses with RefusedError. After `cluster-away`, which means no answer, the process is over.
   */
  async ask(work: TokenWork): Promise<unknown> {
    await this.opened;
    return this.#exchange(work, this.#options.timeoutMs);
  }

  /** As `ask`. The caller overwrites `pin` afterwards. */
  async login(pin: Uint8Array): Promise<void> {
    await this.opened;
    this.#child.stdin?.write(pin);
    await this.#exchange({ name: 'login', pinLength: pin.length }, this.#options.timeoutMs);
  }

  kill(): void {
    this.#isOver = true;
    this.#child.kill('SIGKILL');
    this.#waiting?.({ refusal: 'cluster-away', problem: 'its process ended or did not answer in time' });
  }

  [Symbol.dispose](): void {
    this.kill();
  }

  #exchange(request: TokenRequest, timeoutMs: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.kill(), timeoutMs);
      this.#waiting = (reply) => {
        clearTimeout(timer);
        this.#waiting = undefined;
        if ('result' in reply) resolve(reply.result);
        else reject(new RefusedError(reply.refusal, { cause: new Error(reply.problem) }));
      };
      if (this.#isOver || !this.#child.connected) return this.kill();
      this.#child.send(request, (error) => error && this.kill());
    });
  }
}
