import type { DomainChange } from '@keyfleet/shared/domain/proposal';
import type { Log } from '@keyfleet/shared/log';
import { SayRarely } from '@keyfleet/shared/say-rarely';
import type { Worker } from './workers.ts';

/** One function for each event in a domain-manager: what is logged. */
export class DomainManagerEvents {
  readonly #log: Log;
  /** What workers, callers and whoever writes to Redis cause: as often as they like, each time with another text. */
  readonly #rarely = new SayRarely();

  constructor(log: Log) {
    this.#log = log;
  }

  storeProblem(problem: unknown): void {
    this.#log.warn({ err: problem }, 'Redis cannot be reached');
  }
  /** Until this is corrected, no domain token is stored. */
  storeRefused(reason: Error): void {
    this.#log.error({ err: reason }, 'Redis refused');
  }
  storeAccepted(): void {
    this.#log.warn('the store was accepted in place of the previous one');
  }
  /** The arguments are generations. */
  tokensRestored(from: number, to: number): void {
    this.#log.error({ from, to }, 'the store had lost domain tokens; this replica held them and has stored them again');
  }
  tokenPutBack(generation: number): void {
    this.#log.error(
      { generation },
      'something else stood in the place of a domain token in Redis; this replica has put the token back',
    );
  }
  /** Found with each call that asks for them. */
  tokensUnreadable(error: unknown): void {
    this.#rarely.say('tokens', (omitted) =>
      this.#log.warn({ err: error, omitted }, 'the stored domain tokens could not be read'),
    );
  }
  /** This service did not write what stood there, and it could not be read. */
  resealProgressDropped(name: string): void {
    this.#log.warn({ name }, 'progress of resealing could not be read, so resealing begins anew');
  }
  noticesProblem(problem: unknown): void {
    this.#log.warn({ err: problem }, 'NATS cannot be reached');
  }
  /** It is tried again each second. */
  workNotQueued(problem: unknown): void {
    this.#rarely.say('queue', (omitted) =>
      this.#log.warn({ err: problem, omitted }, 'NATS does not take the work that is due'),
    );
  }

  leadershipChanged(replica: string, leads: boolean): void {
    this.#log.info({ replica }, leads ? 'this replica leads now' : 'this replica leads no longer');
  }
  cannotLead(replica: string, reason: string): void {
    this.#log.error({ replica, reason }, 'this replica cannot lead');
  }
  roundFailed(error: unknown, failures: number): void {
    this.#log.error({ err: error, failures }, 'a round failed; trying again');
  }
  roundEndless(ms: number): void {
    this.#log.error({ ms }, 'a round does not end; restart this replica');
  }
  worksAgain(failures: number): void {
    this.#log.info({ failures }, 'works again');
  }

  tokenStored(generation: number, command: DomainChange['name'], signers: readonly string[]): void {
    this.#log.info({ generation, command, signers }, 'a new domain token is stored');
  }
  tokenNotMade({ address }: Worker, command: DomainChange['name'], error: unknown): void {
    this.#rarely.say(`made ${address} ${command}`, (omitted) =>
      this.#log.warn({ worker: address, command, err: error, omitted }, 'a worker did not make the domain token'),
    );
  }
  tokenNotConfirmed({ address }: Worker, maker: string, error: unknown): void {
    this.#rarely.say(`confirmed ${address}`, (omitted) =>
      this.#log.warn({ worker: address, maker, err: error, omitted }, 'a member does not confirm a new domain token'),
    );
  }
  changeWaits(command: DomainChange['name'], why: string): void {
    this.#rarely.say(`waits ${command}`, (omitted) =>
      this.#log.warn({ command, why, omitted }, 'a change waits for a member that could witness its token'),
    );
  }
  /** Perhaps the clock is wrong. `madeAt`: milliseconds since the epoch. */
  isLate(command: DomainChange['name'], madeAt: number): void {
    const newest = new Date(madeAt).toISOString();
    this.#rarely.say(`late ${command}`, (omitted) =>
      this.#log.error(
        { command, newest, omitted },
        'by this clock the newest domain token is too old for a machine alone to make the next',
      ),
    );
  }
  tokenNotTaken({ address }: Worker, error: unknown): void {
    this.#rarely.say(`taken ${address}`, (omitted) =>
      this.#log.warn({ worker: address, err: error, omitted }, 'a worker did not take the newest domain token'),
    );
  }
  /** Somebody had it made and installed, and stored it nowhere; or the store lost it. */
  heldTokenStored({ address }: Worker, generation: number): void {
    this.#log.warn({ worker: address, generation }, 'a domain token that only members held is stored now');
  }
  heldTokenNotStored({ address }: Worker, error: unknown): void {
    this.#log.warn({ worker: address, err: error }, 'a member holds a newer domain token, which cannot be stored');
  }
  /** What it says is not signed: it may be wrong, lie, or somebody alters its answers. */
  memberIsLate({ address }: Worker, problem: string): void {
    this.#log.warn({ worker: address, problem }, 'a member does not change over to the newest domain key');
  }
  memberLeft({ address }: Worker, memberId: string): void {
    this.#log.info({ worker: address, memberId }, 'a member left the domain and erased its keys');
  }
  memberDidNotLeave({ address }: Worker, error: unknown): void {
    this.#rarely.say(`left ${address}`, (omitted) =>
      this.#log.warn({ worker: address, err: error, omitted }, 'a member did not leave the domain'),
    );
  }

  /** A fault of ours or the store's, whatever the caller sent. */
  requestFailed(method: string, error: unknown): void {
    this.#rarely.say(`request ${method}`, (omitted) =>
      this.#log.error({ method, err: error, omitted }, 'a request failed'),
    );
  }
}
