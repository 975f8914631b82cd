import { KmsException } from '@keyfleet/shared/errors/exceptions';
import type { Clock } from '@keyfleet/shared/clock';
import type { OperationMeter } from '@keyfleet/shared/telemetry/meters';
import type { SignableRequest } from '@keyfleet/shared/sigv4/canonical-request';
import { inRequestSpan } from '@keyfleet/shared/telemetry/tracing';
import type { Authenticated, SignedFor } from './authenticate.ts';
import { timedOut } from './dependency-exceptions.ts';
import { dependencyExceptionOf } from './invoke.ts';
import type { Call, Caller } from '../operations/handler.ts';
import { Deadlines } from './deadlines.ts';

/** What every edge knows of a request, whatever carried it. */
export interface EdgeRequest extends SignableRequest {
  readonly requestId: string;
  readonly sourceIpAddress: string;
  /** Told when the signature is found genuine. */
  readonly onGenuine: () => void;
}

export interface PipelineDeps {
  readonly authenticator: {
    authenticate(
      request: SignableRequest,
      signedFor: SignedFor,
      deadline: number,
    ): Authenticated | Promise<Authenticated>;
    namesKey(headers: ReadonlyMap<string, string>, deadline: number): boolean | Promise<boolean>;
  };
  /** Everything that came to nothing before it reached an operation: who was refused, and why. */
  readonly auditRefusal: (refusal: Refusal) => void;
  readonly clock: Clock;
  readonly requestTimeoutMs: number;
  readonly meter: OperationMeter;
  /** Told of everything that is our fault, with the request it befell. The caller gets no detail. */
  readonly onFault: (fault: unknown, requestId: string) => void;
}

export interface Refusal {
  readonly operation: string;
  readonly request: Pick<EdgeRequest, 'requestId' | 'sourceIpAddress'>;
  readonly userAgent: string;
  readonly caller?: Caller & { readonly region: string };
  readonly exception: KmsException;
}

/** One request for one operation. */
export interface Work<Input, Output> {
  readonly operation: string;
  readonly signedFor: SignedFor;
  /** Called for the authenticated only; throws KmsException for what is not a valid input. A promise where it has yet to come. */
  readonly parse: () => Input | Promise<Input>;
  readonly run: (input: Input, call: Call) => Promise<Output>;
}

/** Authenticate, parse and validate, run: the way of every request of every edge. */
export class Pipeline {
  readonly #deps: PipelineDeps;
  readonly #deadlines: Deadlines;

  constructor(deps: PipelineDeps) {
    this.#deps = deps;
    this.#deadlines = new Deadlines(deps.requestTimeoutMs, timedOut);
  }

  /** Throws KmsException only, within the request timeout, whatever happens behind. */
  async process<Input, Output>(request: EdgeRequest, work: Work<Input, Output>): Promise<Output> {
    const startedAt = performance.now();
    try {
      const output = await inRequestSpan(work.operation, { 'keyfleet.request_id': request.requestId }, () =>
        this.#withinTime(request, work),
      );
      this.#deps.meter.record(work.operation, 'ok', startedAt);
      return output;
    } catch (error) {
      const exception = this.#exceptionOf(error, request.requestId);
      this.#deps.meter.record(work.operation, exception.code, startedAt);
      throw exception;
    }
  }

  #withinTime<Input, Output>(request: EdgeRequest, work: Work<Input, Output>): Promise<Output> {
    const { clock, requestTimeoutMs } = this.#deps;
    return this.#deadlines.within(this.#steps(request, work, clock.now() + requestTimeoutMs));
  }

  /** Whether a caller names an access key that exists, by its headers; rejects when nobody can tell now. */
  namesKey(headers: ReadonlyMap<string, string>): boolean | Promise<boolean> {
    const { authenticator, clock, requestTimeoutMs } = this.#deps;
    const named = authenticator.namesKey(headers, clock.now() + requestTimeoutMs);
    return named instanceof Promise ? this.#deadlines.within(named) : named;
  }

  async #steps<Input, Output>(request: EdgeRequest, work: Work<Input, Output>, deadline: number): Promise<Output> {
    const { requestId, sourceIpAddress } = request;
    const userAgent = request.headers.get('user-agent') ?? '';
    let caller: Authenticated | undefined;
    let input: Input;
    try {
      const proven = this.#deps.authenticator.authenticate(request, work.signedFor, deadline);
      caller = proven instanceof Promise ? await proven : proven;
      request.onGenuine();
      const parsed = work.parse();
      input = parsed instanceof Promise ? await parsed : parsed;
    } catch (error) {
      const exception = this.#exceptionOf(error, requestId);
      const known = caller && { caller: { ...caller.caller, region: caller.region } };
      this.#deps.auditRefusal({ operation: work.operation, request, userAgent, exception, ...known });
      throw exception;
    }
    return work.run(input, { ...caller, requestId, sourceIpAddress, userAgent, deadline });
  }

  #exceptionOf(error: unknown, requestId: string): KmsException {
    if (error instanceof KmsException) return error;
    const exception = dependencyExceptionOf(error);
    if (exception.code === 'KMSInternalException') this.#deps.onFault(error, requestId);
    return exception;
  }
}
