import type { InputOf, Operation, OutputOf } from '@keyfleet/shared/api/operation';
import { commonErrors, KmsException } from '@keyfleet/shared/errors/exceptions';
import { inSpan } from '@keyfleet/shared/telemetry/tracing';
import { work } from './checks/check.ts';
import { stepsOf } from './checks/order.ts';
import { throttled, timedOut } from './dependency-exceptions.ts';
import { HsmRefusedError } from './hsm/commands.ts';
import type { KmsKey } from './keys/kms-key.ts';
import type { Audit } from './audit/record.ts';
import type { Call, Deps, KeyCall } from './operations/handler.ts';
import { findHandler } from './operations/index.ts';
import { unavailable } from './operations/unavailable.ts';
import { StoreUnavailableError } from './store/store.ts';

export interface InvokeDeps extends Deps {
  readonly audit: Audit;
  /** Told of everything that is our fault, with the request it befell. The caller gets no detail. */
  readonly onFault: (fault: unknown, requestId: string) => void;
}

/** Runs one operation for an authenticated caller. `input` is validated. Throws KmsException only. */
export type Invoke = <O extends Operation>(operation: O, input: InputOf<O>, call: Call) => Promise<OutputOf<O>>;

/** Every request's way through the service: its checks and its work in their order (checks/order.ts), then the audit record. */
export function newInvoke(deps: InvokeDeps): Invoke {
  return async (operation, input, call) => {
    const keys: KmsKey[] = [];
    try {
      const context = { call, deps, keys };
      const output = await inSpan('invoke', { 'keyfleet.operation': operation.name }, () =>
        run(operation, input, context),
      );
      const success = { operation, input, call, keys, output };
      deps.lastUsages.note(success, deps.audit.succeeded(success));
      return output as OutputOf<typeof operation>;
    } catch (error) {
      const exception = exceptionOf(error, operation);
      if (exception.code === 'KMSInternalException') deps.onFault(error, call.requestId);
      deps.audit.failed({ operation, input, call, keys, exception });
      throw exception;
    }
  };
}

interface Context {
  readonly call: Call;
  readonly deps: InvokeDeps;
  /** Filled with the keys that the request was admitted to, also when it then fails. */
  readonly keys: KmsKey[];
}

async function run(operation: Operation, input: Input, { call, deps, keys }: Context): Promise<unknown> {
  const handler = findHandler(operation.name);
  if (!handler) throw unavailable(operation);
  let output: unknown;
  for (const step of stepsOf(operation.name)) {
    if (step === work) {
      const [key, otherKey] = keys;
      const keyCall: Call | KeyCall = key ? { ...call, key, ...(otherKey && { otherKey }) } : call;
      output = await handler(input, keyCall as KeyCall, deps);
    } else {
      const checking = step.run({ operation, input, call, deps, keys });
      if (checking) await checking;
    }
  }
  return output;
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
