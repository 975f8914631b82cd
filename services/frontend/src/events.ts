import type { CommandName } from '@keyfleet/shared/hsm/commands';
import type { Log } from '@keyfleet/shared/log';
import { DamagedValueError } from '@keyfleet/shared/redis/stored-values';
import { SayOnce } from '@keyfleet/shared/say-once';
import { SayRarely } from '@keyfleet/shared/say-rarely';
import { StoreRefusedError } from '@keyfleet/shared/redis/store-guard';
import { outcomeCounter } from '@keyfleet/shared/telemetry/meters';
import { AuditFullError } from './audit/sink.ts';
import type { ConfirmationEvents } from './hsm/sealing.ts';
import { DamagedRecordError } from './store/store.ts';

/** One function for each event in a frontend, which logs it. A repeated problem is logged once. */
export class FrontendEvents implements ConfirmationEvents {
  readonly #log: Log;
  readonly #said = new SayOnce();
  /** What stands in Redis: whoever writes there chooses how much of it is damaged, and how often it is read. */
  readonly #rarely = new SayRarely();
  readonly #countConfirmation = outcomeCounter('keyfleet.hsm.confirmations', ['confirmed', 'contradicted', 'nobody']);

  constructor(log: Log) {
    this.#log = log;
  }

  workerProblem(address: string, error: unknown): void {
    if (this.#said.isNew(`worker ${address}`, error)) this.#log.warn({ address, err: error }, 'hsm-worker not usable');
  }
  confirmed(): void {
    this.#countConfirmation('confirmed');
  }
  contradicted(command: CommandName, maker: string, witness: string): void {
    this.#countConfirmation('contradicted');
    if (this.#said.isNew(`${command} ${maker}`, witness))
      this.#log.error(
        { command, maker, witness },
        'an HSM contradicts another about a stored token: one of them is broken or hostile',
      );
  }
  unconfirmed(command: CommandName, maker: string): void {
    this.#countConfirmation('nobody');
    if (this.#said.isNew(`unconfirmed ${command}`, maker))
      this.#log.warn({ command, maker }, 'a stored token is used that no second HSM has seen: none is in reach');
  }
  /** Whoever was given something under the one key is refused by frontends that have the other. */
  fleetKeyProblem(problem: unknown): void {
    if (!(problem instanceof DamagedRecordError)) return;
    if (this.#said.isNew('fleet keys', problem))
      this.#log.error({ err: problem }, 'a key that frontends share was replaced in Redis');
  }
  /** The next request makes another, or a frontend that has the one before puts that back. */
  fleetKeyDropped(foreign: Error): void {
    this.#rarely.say('foreign fleet keys', (omitted) =>
      this.#log.error({ err: foreign, omitted }, 'a key that frontends share was none, and was dropped from Redis'),
    );
  }
  grantPassedOver(damage: Error): void {
    this.#rarely.say('grants', (omitted) =>
      this.#log.error({ err: damage, omitted }, 'a grant in Redis is none that a frontend wrote: it allows nothing'),
    );
  }
  aliasPassedOver(damage: Error): void {
    this.#rarely.say('aliases', (omitted) =>
      this.#log.error({ err: damage, omitted }, 'an alias in Redis is none that a frontend wrote: no list shows it'),
    );
  }
  domainManagerProblem(address: string, error: unknown): void {
    this.#log.warn({ address, err: error }, 'domain-manager not usable');
  }
  noticesProblem(problem: unknown): void {
    this.#log.warn({ err: problem }, 'NATS cannot be reached; domain tokens are polled');
  }
  nothingAudited(): void {
    this.#log.warn('no auditFile is set: no request is recorded');
  }
  auditProblem(problem: unknown): void {
    if (this.#said.isNew('audit', problem))
      this.#log.error({ err: problem }, 'audit records cannot be written; they are kept');
  }
  storeProblem(problem: unknown): void {
    if (this.#said.isNew('store', problem)) this.#log.warn({ err: problem }, 'Redis not usable');
  }
  /** Until this is fixed, nothing is written and the frontend is not ready. */
  storeRefused(reason: Error): void {
    this.#log.error({ err: reason }, 'Redis refused');
  }
  /**
   * Operators have confirmed that another store, or an older state of it, is to be used: everything known about it is
   * forgotten.
   */
  storeAccepted(): void {
    this.#log.warn('the store was accepted in place of the previous one');
  }
  lastUsageProblem(problem: unknown): void {
    if (this.#said.isNew('last usage', problem))
      this.#log.warn({ err: problem }, 'the last use of keys is not stored yet; it will be retried');
  }
  ratesProblem(problem: unknown): void {
    this.#rarely.say('rates', (omitted) =>
      this.#log.warn({ err: problem, omitted }, 'request rates are not shared with other frontends now'),
    );
  }
  notResealed(record: string, error: unknown): void {
    this.#rarely.say('reseal', (omitted) =>
      this.#log.warn({ record, err: error, omitted }, 'not resealed yet; another pass will retry'),
    );
  }
  resealProblem(problem: unknown): void {
    if (this.#said.isNew('reseal queue', problem)) this.#log.warn({ err: problem }, 'resealing is interrupted');
  }
  dueWorkLeft(key: string, error: unknown): void {
    this.#rarely.say('due', (omitted) =>
      this.#log.warn({ key, err: error, omitted }, 'a deletion or rotation was not done; it will be retried'),
    );
  }
  /** `date`: when it comes now, in milliseconds since the epoch. A restored store may have as many as it likes. */
  deletionPutOff(key: string, date: number): void {
    const until = new Date(date).toISOString();
    this.#rarely.say(
      'put off',
      (omitted) =>
        this.#log.warn({ key, until, omitted }, 'a deletion was put off: Redis was restored less than a week ago'),
      key,
    );
  }
  dueWorkProblem(problem: unknown): void {
    this.#rarely.say('due queue', (omitted) =>
      this.#log.warn({ err: problem, omitted }, 'deletions and rotations of keys are delayed'),
    );
  }
  /** Our fault, whatever the caller sent. The caller learns only the request id. */
  requestFailed(fault: unknown, requestId: string): void {
    // Logged once when found, not for each request that meets it.
    if (fault instanceof StoreRefusedError || fault instanceof AuditFullError) return;
    const say = (omitted?: number): void => this.#log.error({ err: fault, requestId, omitted }, 'request failed');
    if (fault instanceof DamagedValueError) this.#rarely.say('damaged', say, fault.message);
    else say();
  }
}
