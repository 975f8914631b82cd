import { KmsException } from '@keyfleet/shared/errors/exceptions';
import type { StoreGuard } from '@keyfleet/shared/redis/store-guard';
import type { Call } from '../operations/handler.ts';
import type { Attempt } from '../request/attempt.ts';
import { decidedAgain } from '../request/deadlines.ts';
import { iamChangeOf } from '../store/change-feed.ts';
import { authorizeIam, resourceTagsOf } from './access.ts';
import { identityArn } from './callers.ts';
import { QueryException } from './query-exception.ts';
import type { IamDeps, QueryOperation, Target } from './query-operation.ts';
import { chargeQuery } from './rates.ts';
import { findTarget, nameOfTarget, noSuch } from './targets.ts';
import type { IamRecord } from './iam-records.ts';

/** Authorizes an IAM or STS request and runs its operation. */
export type PerformQuery = (attempt: Attempt) => Promise<object | undefined>;

export interface PerformQueryDeps extends IamDeps {
  /** While the store is not the one it was, nothing is answered. */
  readonly guard: Pick<StoreGuard, 'assertFit'>;
}

export function newPerformQuery(deps: PerformQueryDeps): PerformQuery {
  return async ({ service, query, call, input }) => {
    if (call === undefined || input === undefined || service === 'kms') return undefined;
    if (query === undefined) {
      chargeQuery({ service, readOnly: true }, { ...call.caller, region: call.region }, deps);
      return undefined;
    }
    deps.guard.assertFit();
    // For an unsigned request, the caller is known only once the operation has established it.
    if (query.unsigned === undefined) chargeQuery(query, { ...call.caller, region: call.region }, deps);
    const given = input;
    let mayHaveWritten = query.service === 'iam' && !query.readOnly;
    try {
      return await decidedAgain(() => runCharged(query, { input: given, call }, deps), call.deadline, deps.clock);
    } catch (error) {
      // Whoever is refused makes nobody's identity be read again.
      if (error instanceof KmsException) mayHaveWritten = false;
      throw error;
    } finally {
      // Invalidates after failures too: the write may have happened although its answer was lost.
      if (mayHaveWritten) deps.accountVersions.changed(iamChangeOf(call.caller.accountId));
    }
  };
}

interface Asked {
  readonly input: Readonly<Record<string, unknown>>;
  readonly call: Call;
}

function runCharged(operation: QueryOperation, asked: Asked, deps: PerformQueryDeps): Promise<object | undefined> {
  // The limits on strangers bound what these read.
  if (operation.unsigned !== undefined) return runOnce(operation, asked, deps);
  return deps.charged(asked.call.caller.accountId, (iam) => runOnce(operation, asked, { ...deps, iam }));
}

async function runOnce(operation: QueryOperation, asked: Asked, deps: IamDeps): Promise<object | undefined> {
  if (operation.service === 'iam') assertMayCallIam(asked.call);
  const record = operation.target && (await admit(operation, operation.target, { ...asked, deps }));
  const output = await operation.run({ ...asked, record } as never, deps);
  return output ?? undefined;
}

/**
 * IAM does not accept a user's temporary credentials; otherwise they could be exchanged for an access key that does not
 * expire. AWS accepts them after a second factor, which nobody has here (STS API Reference, "GetSessionToken").
 */
function assertMayCallIam({ caller: { session } }: Call): void {
  if (session === undefined || session.roleArn !== undefined) return;
  throw new QueryException('InvalidClientTokenId', 'The security token included in the request is invalid');
}

/** Finds what a request names, and authorizes the caller for it before revealing whether it exists. */
async function admit(
  operation: QueryOperation,
  target: Target,
  { input, call, deps }: Asked & { readonly deps: IamDeps },
): Promise<IamRecord | undefined> {
  const { kind, as } = target;
  const { accountId } = call.caller;
  const name = nameOfTarget(target, input, call);
  const record = name === undefined || as === 'made' ? undefined : await findTarget(deps, call, { kind, name });
  const path = typeof input['Path'] === 'string' ? input['Path'] : '/';
  const resource =
    as === 'listed' || name === undefined
      ? identityArn(deps.partition, { kind, accountId, path: '/', name: '' })
      : resourceOf(record, { kind, accountId, path, name: shortNameOf(name) }, deps.partition);
  const boundary = record && 'boundary' in record ? record.boundary : undefined;
  const resourceTags = resourceTagsOf(record);
  for (const action of [`iam:${operation.name}`, ...(operation.also?.(input) ?? [])]) {
    authorizeIam({ call, input, action, resource, ownerId: accountId, resourceTags, boundary }, deps);
  }
  if (as === 'named' || as === 'own') {
    if (record === undefined) throw noSuch(kind, name ?? '');
    if (record.accountId === 'aws' && !operation.readOnly) throw unmodifiable();
  }
  return record;
}

function resourceOf(
  record: IamRecord | undefined,
  named: Parameters<typeof identityArn>[1],
  partition: string,
): string {
  return identityArn(partition, record ?? named);
}

/** Policies are named by their ARNs. */
function shortNameOf(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1);
}

function unmodifiable(): KmsException {
  return new QueryException('AccessDenied', 'Cannot perform the operation on an AWS managed policy.');
}
