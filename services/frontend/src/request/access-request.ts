import type { Operation } from '@keyfleet/shared/api/operation';
import type { Attestation } from '../attestation/attestations.ts';
import { type KmsKey, wasGivenTo } from '../keys/kms-key.ts';
import { DAY_MS } from '../keys/key-rotation.ts';
import { ALIASES_PER_KEY } from '../operations/aliases.ts';
import type { Call, Deps } from '../operations/handler.ts';
import { undecidable } from '../policy/conditions/context.ts';
import type { Policy } from '../policy/document.ts';
import type { AccessRequest, Requester } from '../policy/evaluate.ts';
import type { Tag } from '../policy/global-keys.ts';
import { type KmsFacts, kmsKeys, type LookedUp, slowKeys } from '../policy/kms-keys.ts';
import type { Policies } from '../policy/policies.ts';

/** A request as the decision sees it: everything that decides whether it may proceed. */
export interface Question {
  readonly operation: Operation;
  readonly input: Readonly<Record<string, unknown>>;
  readonly call: Omit<Call, 'alias'>;
  readonly attestation?: Attestation | undefined;
}

export interface AccessRequestDeps extends Pick<Deps, 'clock' | 'partition'> {
  readonly policies: Policies;
  readonly lastUsages: Pick<Deps['lastUsages'], 'find'>;
  readonly listAliases: Deps['aliases']['listAliases'];
}

/** The subject of one decision. */
export interface Target {
  readonly about: KmsFacts['about'];
  /** As a policy's Resource element names it. */
  readonly arn: string;
  readonly ownerId: string;
  readonly key?: KmsKey | undefined;
  /** A replica still to be created, described for conditions only. */
  readonly replica?: KmsKey | undefined;
  /** The name of the alias by which the request names the key. */
  readonly requestAlias?: string | undefined;
  /** Whether the request's two keys are the same; present for operations that name two. */
  readonly isSameKey?: (() => Promise<boolean>) | undefined;
}

/** A promise only if a policy asks for something that must be looked up. */
export function accessRequest(
  question: Question,
  action: string,
  { target, deps }: { readonly target: Target; readonly deps: AccessRequestDeps },
): AccessRequest | Promise<AccessRequest> {
  const { key } = target;
  const requester = deps.policies.requester(question.call.caller);
  const keyPolicy = key && deps.policies.keyPolicy(key);
  const about = (lookedUp?: LookedUp): AccessRequest => ({
    requester,
    action,
    resource: target.arn,
    ownerId: target.ownerId,
    keyPolicy,
    context: kmsKeys.contextOf({ ...factsOf(question, action, { target, deps }), lookedUp }),
  });
  if (key === undefined || !asksForSlowKeys(requester, keyPolicy)) return about();
  return lookUp(key, { target, deps, asks: (name) => asksFor(name, requester, keyPolicy) }).then(about);
}

/** The context of `kms:Encrypt` for a request, before anything is looked up. */
function factsOf(
  { operation, input, call, attestation }: Question,
  action: string,
  { target, deps }: { target: Target; deps: AccessRequestDeps },
): KmsFacts {
  const tags = Array.isArray(input['Tags']) ? (input['Tags'] as readonly Tag[]) : [];
  return {
    caller: call.caller,
    region: call.region,
    sourceIpAddress: call.sourceIpAddress,
    isSecure: call.isSecure,
    userAgent: call.userAgent,
    now: deps.clock.now(),
    ownerId: target.ownerId,
    requestTags: tags,
    resourceTags: target.key?.tags,
    tagKeys: Array.isArray(input['TagKeys'])
      ? (input['TagKeys'] as readonly string[])
      : tags.map(({ TagKey }) => TagKey),
    operation: operation.name,
    action,
    input,
    about: target.about,
    key: target.key,
    replica: target.replica,
    requestAlias: target.requestAlias,
    attestation,
  };
}

const slow = Object.values(slowKeys);

function policiesOf(requester: Requester, keyPolicy: Policy | undefined): readonly (Policy | undefined)[] {
  return [keyPolicy, requester.boundary, ...requester.identityPolicies, ...(requester.sessionPolicies ?? [])];
}

function asksFor(name: string, requester: Requester, keyPolicy: Policy | undefined): boolean {
  return policiesOf(requester, keyPolicy).some((policy) => policy?.keys.has(name));
}

function asksForSlowKeys(requester: Requester, keyPolicy: Policy | undefined): boolean {
  return slow.some((name) => asksFor(name, requester, keyPolicy));
}

interface LookUp {
  readonly target: Target;
  readonly deps: AccessRequestDeps;
  readonly asks: (name: string) => boolean;
}

async function lookUp(key: KmsKey, { target, deps, asks }: LookUp): Promise<LookedUp> {
  return {
    ...(asks(slowKeys.resourceAliases) && { resourceAliases: await aliasesOf(key, deps) }),
    ...(asks(slowKeys.daysWithoutUse) && { daysWithoutUse: await daysWithoutUse(key, deps) }),
    ...(asks(slowKeys.isSameKey) && target.isSameKey && { isSameKey: await target.isSameKey() }),
  };
}

/**
 * Beyond AWS's quota of aliases the answer is unknown: an Allow does not apply, a Deny does (KMS Developer Guide,
 * "kms:ResourceAliases"). So it is where the list names others, or more, than there are.
 */
async function aliasesOf(key: KmsKey, { listAliases }: AccessRequestDeps): Promise<LookedUp['resourceAliases']> {
  const { items, next, isLacking } = await listAliases(key, ALIASES_PER_KEY, undefined, key.keyId);
  if (next !== undefined || isLacking) return undecidable;
  return items.filter(({ updatedAt }) => wasGivenTo(key, updatedAt)).map(({ name }) => name);
}

/** Whole days since the last use, or since creation if the key was never used. */
async function daysWithoutUse(key: KmsKey, { lastUsages, clock }: AccessRequestDeps): Promise<number> {
  const usage = await lastUsages.find(key);
  return Math.floor((clock.now() - (usage?.usedAt ?? key.createdAt)) / DAY_MS);
}
