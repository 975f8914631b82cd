import { TrackedOperation } from '@keyfleet/shared/api/choices';
import type { Clock } from '@keyfleet/shared/clock';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import type { OperationMeter } from '@keyfleet/shared/telemetry/meters';
import { inRequestSpan } from '@keyfleet/shared/telemetry/tracing';
import type { Audit } from '../audit/record.ts';
import type { LastUsages } from '../background/last-usages.ts';
import { chargeQuery } from '../identities/rates.ts';
import { rateClassOf, type RequestRates } from '../quotas/request-rates.ts';
import { type Attempt, type EdgeRequest, newAttempt, overwriteSecrets, type Wanted } from './attempt.ts';
import type { Authenticated, Authenticator } from './authenticate.ts';
import { Deadlines } from './deadlines.ts';
import { exceptionOf, timedOut } from './errors.ts';
import type { Perform } from './perform.ts';
import type { CachedStore } from '../store/cached-store.ts';

export interface PipelineDeps {
  readonly authenticator: Pick<Authenticator, 'authenticate' | 'namesKey'>;
  readonly perform: Perform;
  /** The cached keys and aliases. */
  readonly cached: Pick<CachedStore, 'lastKnown'>;
  readonly audit: Pick<Audit, 'assertRecordable' | 'record'>;
  readonly lastUsages: Pick<LastUsages, 'note'>;
  readonly rates: Pick<RequestRates, 'charge'>;
  readonly clock: Clock;
  readonly requestTimeoutMs: number;
  readonly meter: OperationMeter;
  /** Called for each internal fault with the id of its request. The caller gets no detail. */
  readonly onFault: (fault: unknown, requestId: string) => void;
}

const cryptographic: ReadonlySet<string> = new Set([...TrackedOperation.options, 'GenerateRandom']);

/** While the store is away, only this goes on, with what was known of keys and callers. */
function isCryptographic({ operation }: Pick<Wanted<unknown>, 'operation'>): boolean {
  return operation !== undefined && cryptographic.has(operation.name);
}

/** The caller of an unsigned operation, until another proof identifies it. */
const anonymous: Authenticated = {
  caller: { arn: '', accountId: '', userId: '', accessKeyId: '', policies: [] },
  region: '',
};

/** The path of every request from every edge: authenticate, parse, admit and run, audit, answer. */
export class Pipeline {
  readonly #deps: PipelineDeps;
  readonly #deadlines: Deadlines;

  constructor(deps: PipelineDeps) {
    this.#deps = deps;
    this.#deadlines = new Deadlines(deps.requestTimeoutMs, timedOut);
  }

  /** Throws only KmsException, within the request timeout, whatever happens behind it. */
  async process<Answer>(request: EdgeRequest, wanted: Wanted<Answer>): Promise<Answer> {
    const { meter } = this.#deps;
    const startedAt = performance.now();
    try {
      const answer = await inRequestSpan(wanted.name, { 'keyfleet.request_id': request.requestId }, () =>
        this.#deadlines.within(this.#answer(request, wanted)),
      );
      meter.record(wanted.name, 'ok', startedAt);
      return answer;
    } catch (error) {
      const exception = error instanceof KmsException ? error : this.#exceptionOf(error, request);
      meter.record(wanted.name, exception.code, startedAt);
      throw exception;
    }
  }

  /** Whether the headers name an access key that exists. Rejects when that cannot be told now. */
  namesKey(headers: ReadonlyMap<string, string>): boolean | Promise<boolean> {
    const named = this.#deps.authenticator.namesKey(headers, this.#deadline());
    return named instanceof Promise ? this.#deadlines.within(named) : named;
  }

  /** The audit record says how the request ended, even if nobody waits for the answer any more. */
  async #answer<Answer>(request: EdgeRequest, wanted: Wanted<Answer>): Promise<Answer> {
    // For every caller, since refusals must be recorded too.
    this.#deps.audit.assertRecordable();
    const attempt = newAttempt(request, wanted);
    try {
      const deadline = this.#deadline();
      const { signedFor } = wanted;
      const recall = (attempt.lastKnown = isCryptographic(wanted) ? this.#deps.cached.lastKnown() : undefined);
      const patience = { deadline, recall };
      const proven = signedFor ? this.#deps.authenticator.authenticate(request, signedFor, patience) : anonymous;
      const { caller, region, isPresigned = false } = proven instanceof Promise ? await proven : proven;
      const { requestId, sourceIpAddress, isSecure } = request;
      const { userAgent } = attempt;
      attempt.call = { caller, region, requestId, sourceIpAddress, isSecure, userAgent, deadline, recall };
      if (signedFor && !isPresigned) request.onGenuine();

      const parsed = wanted.parse();
      attempt.input = parsed instanceof Promise ? await parsed : parsed;

      attempt.output = await (wanted.perform ?? this.#deps.perform)(attempt);
      if (!signedFor) request.onGenuine();
    } catch (error) {
      attempt.exception = this.#exceptionOf(this.#throttled(attempt) ?? error, request, attempt);
    }
    try {
      this.#record(attempt);
      if (attempt.exception !== undefined) throw attempt.exception;
      return wanted.format(attempt.output, attempt.call!.caller);
    } finally {
      overwriteSecrets(attempt);
    }
  }

  /** What cannot be read counts as a request, too: otherwise an account could send it without limit. */
  #throttled({ call, input, operation, query }: Attempt): unknown {
    // Who signed nothing has no account to charge.
    if (call === undefined || input !== undefined || call.caller === anonymous.caller) return undefined;
    const { region, caller } = call;
    const charged = { accountId: caller.accountId, region };
    try {
      if (query !== undefined) chargeQuery(query, charged, this.#deps);
      else if (operation !== undefined) this.#deps.rates.charge(charged, rateClassOf(operation.name, {}));
      return undefined;
    } catch (throttled) {
      return throttled;
    }
  }

  #record(attempt: Attempt): void {
    const { audit, lastUsages } = this.#deps;
    const eventId = audit.record(attempt);
    if (attempt.exception === undefined) lastUsages.note(attempt, eventId);
  }

  #exceptionOf(error: unknown, { requestId }: EdgeRequest, attempt?: Attempt): KmsException {
    const exception = exceptionOf(error, attempt?.input && attempt.operation);
    if (exception.code === 'KMSInternalException') this.#deps.onFault(error, requestId);
    return exception;
  }

  #deadline(): number {
    return this.#deps.clock.now() + this.#deps.requestTimeoutMs;
  }
}
