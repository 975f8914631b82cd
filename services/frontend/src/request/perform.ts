import type { Operation } from '@keyfleet/shared/api/operation';
import type { StoreGuard } from '@keyfleet/shared/redis/store-guard';
import { inSpan } from '@keyfleet/shared/telemetry/tracing';
import type { Attestations } from '../attestation/attestations.ts';
import { attestedBy, provenBy } from '../attestation/of-recipient.ts';
import type { Grant } from '../grants/grant.ts';
import { HsmRefusedError } from '../hsm/commands.ts';
import type { KmsKey } from '../keys/kms-key.ts';
import type { Call, Deps, KeyCall } from '../operations/handler.ts';
import { findHandler, unavailable } from '../operations/index.ts';
import { rateClassOf } from '../quotas/request-rates.ts';
import type { CachedStore } from '../store/cached-store.ts';
import type { LastKnown } from '../store/last-known.ts';
import { DamagedRecordError } from '../store/store.ts';
import { type Attempt, type Input, overwriteSecrets } from './attempt.ts';
import { type CheckedRequest, work } from './check.ts';
import { decidedAgain } from './deadlines.ts';
import { stepsOf } from './order.ts';

type Attested = CheckedRequest['attested'];

export interface PerformDeps extends Deps {
  readonly attestations: Pick<Attestations, 'verify'>;
  /** The cached keys and aliases. */
  readonly cached: Pick<CachedStore, 'forget'>;
  /** Called for each request answered from the last known records. */
  readonly countStale: (operation: string) => void;
  /** While the store is not the one we knew, nothing is answered, not even from memory. */
  readonly guard: Pick<StoreGuard, 'assertFit'>;
}

/**
 * Runs a request's operation: its checks and its handler, in their order (order.ts). Fills in the attempt's keys. Does
 * nothing for a call without an operation.
 */
export type Perform = (attempt: Attempt) => Promise<unknown>;

export function newPerform(deps: PerformDeps): Perform {
  return async (attempt) => {
    const { operation, call, input, keys } = attempt;
    if (operation === undefined || call === undefined || input === undefined) return undefined;
    const attest = async (): Promise<Attested> => {
      const attested = await attestedBy(input, deps.attestations, deps.clock.now());
      attempt.attestation = provenBy(attested);
      return attested;
    };
    const onGrant = ({ grantId }: Grant): void => void (attempt.grantId = grantId);
    const admission = { operation, input, call, deps, keys, lastKnown: attempt.lastKnown, attest, onGrant };
    try {
      const output = await inSpan('invoke', { 'keyfleet.operation': operation.name }, () => run(admission));
      if (attempt.lastKnown?.served) deps.countStale(operation.name);
      return output;
    } catch (error) {
      throw isDamagedToken(error) ? damagedMaterial(keys, deps, error) : error;
    }
  };
}

function isDamagedToken(error: unknown): error is HsmRefusedError {
  return error instanceof HsmRefusedError && error.refusal === 'damaged-token';
}

/** Our fault, whatever the caller sent. Names the key. */
function damagedMaterial(keys: readonly KmsKey[], { cached }: PerformDeps, cause: HsmRefusedError): Error {
  // So that a repaired record is seen at once.
  for (const key of keys) cached.forget(key);
  const names = keys.map(({ arn }) => arn).join(' or ');
  const message = `the stored material of ${names} does not open: restore the record from a backup (docs/recovery.md)`;
  return new DamagedRecordError(message, { cause });
}

interface Admission {
  readonly operation: Operation;
  readonly input: Input;
  readonly call: Call;
  readonly deps: PerformDeps;
  readonly keys: KmsKey[];
  readonly lastKnown: LastKnown | undefined;
  readonly attest: () => Promise<Attested>;
  readonly onGrant: (grant: Grant) => void;
}

async function run(admission: Admission): Promise<unknown> {
  const { operation, input, call, deps, keys } = admission;
  deps.guard.assertFit();
  // First of all, and refused requests too, so that nobody can ask without limit.
  const charged = { accountId: call.caller.accountId, region: call.region };
  deps.rates.charge(charged, rateClassOf(operation.name, input));
  const attested = input['Recipient'] === undefined ? undefined : await admission.attest();
  const decide = (): Promise<unknown> => {
    keys.length = 0;
    return runOnce(admission, attested);
  };
  return decidedAgain(decide, call.deadline, deps.clock);
}

/** Makes every decision once: whether the caller may, whether the state allows it, and what to write. */
async function runOnce(admission: Admission, attested: Attested): Promise<unknown> {
  const { operation, input, deps } = admission;
  const handler = findHandler(operation.name);
  if (!handler) throw unavailable(operation);
  const request: CheckedRequest = {
    ...admission,
    attested,
    alias: undefined,
    grantTokens: [],
    grant: undefined,
    principalIds: undefined,
  };
  let output: unknown;
  try {
    for (const step of stepsOf(operation.name)) {
      if (step === work) {
        output = await handler(input, admittedCallOf(request), deps);
      } else {
        const checking = step.run(request);
        if (checking) await checking;
      }
    }
    return output;
  } catch (error) {
    // A dry run of Decrypt ends only after the work.
    overwriteSecrets({ operation, input: undefined, output });
    throw error;
  } finally {
    if (request.grant) admission.onGrant(request.grant);
  }
}

function admittedCallOf(request: CheckedRequest): KeyCall {
  const { call, keys, alias, grant, principalIds, attested } = request;
  const [key, otherKey] = keys;
  const attestation = provenBy(attested);
  const found = {
    ...(key && { key }),
    ...(otherKey && { otherKey }),
    ...(alias && { alias }),
    ...(grant && { grant }),
    ...(principalIds && { principalIds }),
    ...(attestation && { attestation }),
  };
  return { ...call, ...found } as KeyCall;
}
