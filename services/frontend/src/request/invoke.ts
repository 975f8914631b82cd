import { TrackedOperation } from '@keyfleet/shared/api/choices';
import type { InputOf, Operation, OutputOf } from '@keyfleet/shared/api/operation';
import { commonErrors, KmsException } from '@keyfleet/shared/errors/exceptions';
import { setTimeout as delay } from 'node:timers/promises';
import { inSpan } from '@keyfleet/shared/telemetry/tracing';
import { type CheckedRequest, work } from './check.ts';
import { stepsOf } from './order.ts';
import { throttled, timedOut } from './dependency-exceptions.ts';
import { HsmRefusedError } from '../hsm/commands.ts';
import type { KmsKey } from '../keys/kms-key.ts';
import type { Audit } from '../audit/record.ts';
import type { Call, Deps, KeyCall } from '../operations/handler.ts';
import { findHandler, unavailable } from '../operations/index.ts';
import type { LastKnown } from '../store/last-known.ts';
import { ConflictError, DamagedRecordError, StoreUnavailableError } from '../store/store.ts';

const cryptographic: ReadonlySet<string> = new Set(TrackedOperation.options);

/** About what a read and a write take. */
const PAUSE_MS = 5;
const LONGEST_PAUSE_MS = 100;

export interface InvokeDeps extends Deps {
  readonly audit: Audit;
  /** For cryptography while changes of keys are not heard; undefined while they are, and when it is forbidden. */
  readonly lastKnown: () => LastKnown | undefined;
  /** Told of each request that was answered with what was last known. */
  readonly countStale: (operation: string) => void;
  /** Throws StoreRefusedError while the store is not the one that it was: then nothing is answered, from memory neither. */
  readonly assertStore: () => void;
  /** What is held in memory of a key whose record turned out to be damaged: its repair must be seen at once. */
  readonly forgetKey: (key: KmsKey) => void;
  /** Told of everything that is our fault, with the request it befell. The caller gets no detail. */
  readonly onFault: (fault: unknown, requestId: string) => void;
}

/** Runs one operation for an authenticated caller. `input` is validated. Throws KmsException only. */
export type Invoke = <O extends Operation>(operation: O, input: InputOf<O>, call: Call) => Promise<OutputOf<O>>;

/** Every request's way through the service: its checks and its work in their order (order.ts), then the audit record. */
export function newInvoke(deps: InvokeDeps): Invoke {
  return async (operation, input, call) => {
    const keys: KmsKey[] = [];
    const lastKnown = cryptographic.has(operation.name) ? deps.lastKnown() : undefined;
    const context = { call, deps, keys, lastKnown };
    try {
      const output = await inSpan('invoke', { 'keyfleet.operation': operation.name }, () =>
        run(operation, input, context),
      );
      if (lastKnown?.served) deps.countStale(operation.name);
      const success = { operation, input, call, keys, output, isStale: lastKnown?.served };
      deps.lastUsages.note(success, deps.audit.succeeded(success));
      return output as OutputOf<typeof operation>;
    } catch (caught) {
      const error = isDamagedToken(caught) ? damagedMaterial(keys, deps, caught) : caught;
      const exception = exceptionOf(error, operation);
      if (exception.code === 'KMSInternalException') deps.onFault(error, call.requestId);
      deps.audit.failed({ operation, input, call, keys, exception, isStale: lastKnown?.served });
      throw exception;
    }
  };
}

function isDamagedToken(error: unknown): error is HsmRefusedError {
  return error instanceof HsmRefusedError && error.refusal === 'damaged-token';
}

/** Our fault and nobody else's, whatever the caller sent: says which key it is. */
function damagedMaterial(keys: readonly KmsKey[], { forgetKey }: InvokeDeps, cause: HsmRefusedError): Error {
  keys.forEach(forgetKey);
  const names = keys.map(({ arn }) => arn).join(' or ');
  const message = `the stored material of ${names} does not open: restore the record from a backup (docs/recovery.md)`;
  return new DamagedRecordError(message, { cause });
}

interface Context {
  readonly call: Call;
  readonly deps: InvokeDeps;
  /** Filled with the keys that the request was admitted to, also when it then fails. */
  readonly keys: KmsKey[];
  readonly lastKnown: LastKnown | undefined;
}

async function run(operation: Operation, input: Input, context: Context): Promise<unknown> {
  const { call, deps, keys } = context;
  deps.assertStore();
  for (let attempt = 1; ; attempt++) {
    try {
      return await runOnce(operation, input, context);
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
      await waitForTurn(attempt);
      if (deps.clock.now() >= call.deadline) throw timedOut(error);
    }
    keys.length = 0;
  }
}

/**
 * What was read is no longer so when it is written: somebody else was faster. Then everything is decided again on what they wrote:
 * whether the caller may, whether the state allows it, and what to write.
 */
async function runOnce(operation: Operation, input: Input, context: Context): Promise<unknown> {
  const { deps } = context;
  const handler = findHandler(operation.name);
  if (!handler) throw unavailable(operation);
  const request: CheckedRequest = { operation, input, ...context, alias: undefined };
  let output: unknown;
  for (const step of stepsOf(operation.name)) {
    if (step === work) {
      output = await handler(input, admittedCallOf(request), deps);
    } else {
      const checking = step.run(request);
      if (checking) await checking;
    }
  }
  return output;
}

function admittedCallOf({ call, keys: [key, otherKey], alias }: CheckedRequest): KeyCall {
  const found = { ...(key && { key }), ...(otherKey && { otherKey }), ...(alias && { alias }) };
  return { ...call, ...found } as KeyCall;
}

/** At random, so that those who were refused together do not come back together. */
async function waitForTurn(attempt: number): Promise<void> {
  await delay(Math.random() * Math.min(LONGEST_PAUSE_MS, PAUSE_MS * attempt));
}

type Input = Readonly<Record<string, unknown>>;

function exceptionOf(error: unknown, { errors }: Operation): KmsException {
  const exception = error instanceof KmsException ? error : dependencyExceptionOf(error);
  if (commonErrors.has(exception.code) || errors.includes(exception.code)) return exception;
  const cause = new Error(`${exception.code} is not declared for the operation`, { cause: exception });
  return new KmsException('KMSInternalException', '', { cause });
}

/** What a caller is told when something behind the service failed. */
export function dependencyExceptionOf(cause: unknown): KmsException {
  if (cause instanceof StoreUnavailableError) return timedOut(cause);
  if (cause instanceof HsmRefusedError && cause.refusal === 'expired') return timedOut(cause);
  if (cause instanceof HsmRefusedError && cause.refusal === 'overloaded') return throttled(cause);
  return new KmsException('KMSInternalException', '', { cause });
}
