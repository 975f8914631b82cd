import { TrackedOperation } from '@keyfleet/shared/api/choices';
import { actionOf, type KeyReference, keyReferencesOf, type Operation } from '@keyfleet/shared/api/operation';
import { aliasArn, type ArnScope } from '@keyfleet/shared/arn';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import type { GrantLookup } from '../grants/grant-store.ts';
import type { GrantName } from '../grants/grant-token.ts';
import { grantQuestionOf, granteeOf } from '../grants/permission.ts';
import { type KmsKey, relatedOf } from '../keys/kms-key.ts';
import { arnIn } from '../keys/multi-region.ts';
import { findNamed, type KeyLookup, type Named, readIdentifier } from '../keys/resolve.ts';
import { blobHeaderOf, requireCiphertext } from '../operations/ciphertexts.ts';
import { assertReplicaIn } from '../operations/multi-region.ts';
import {
  authorize,
  authorizeCiphertextKey,
  authorizeForeign,
  deniedCiphertextKey,
  deniedForeignKey,
} from '../policy/authorize.ts';
import { type AccessRequest, evaluate, type Grantee, isImplicit } from '../policy/evaluate.ts';
import type { Alias } from '../store/store.ts';
import { accessRequest, type AccessRequestDeps, type Question, type Target } from './access-request.ts';

export interface AccessDeps extends KeyLookup, AccessRequestDeps {
  readonly grants: GrantLookup;
}

/** The caller, the request and the grants that it may use. */
export interface Asking extends Question {
  /** The grants whose tokens the request carries. */
  readonly grantTokens: readonly GrantName[];
  /** Called when more grants than usual have to be read. Throws if no more may be read of the key's. */
  readonly onMoreGrants: (key: KmsKey) => void;
}

/**
 * Finds every key that the request names and authorizes the caller for each, filling `keys`; throws otherwise. Returns
 * the alias that the request moves or deletes, as it was when authorized.
 */
export async function admit(question: Asking, deps: AccessDeps, keys: KmsKey[]): Promise<Alias | undefined> {
  const { operation, call } = question;
  const scope: ArnScope = { partition: deps.partition, region: call.region, accountId: call.caller.accountId };
  let alias: Alias | undefined;
  if (typeof question.input['AliasName'] === 'string') {
    alias = await admitToAlias(question, question.input['AliasName'], { scope, deps });
  } else if (operation.access === 'account') {
    const target: Target = { about: 'account', arn: '*', ownerId: scope.accountId };
    for (const action of accountActionsOf(question)) {
      await permit(authorize, accessRequest(question, action, { target, deps }));
    }
  }
  for (const reference of keyReferencesOf(operation)) {
    keys.push(await admitToKey(reference, question, { scope, deps }));
  }
  if (operation.name === 'ReplicateKey') await admitToReplicaRegion(question, keys[0]!, deps);
  return alias;
}

/** A replica is created in its own Region, where that may be forbidden. */
async function admitToReplicaRegion(question: Asking, primary: KmsKey, deps: AccessDeps): Promise<void> {
  const region = String(question.input['ReplicaRegion']);
  const there = { ...question, call: { ...question.call, region } };
  const replica = replicaIn(region, primary);
  const target: Target = { about: 'account', arn: '*', ownerId: primary.accountId, replica };
  const tags = question.input['Tags'];
  const actions = Array.isArray(tags) && tags.length > 0 ? ['kms:CreateKey', 'kms:TagResource'] : ['kms:CreateKey'];
  for (const action of actions) await permit(authorize, accessRequest(there, action, { target, deps }));
}

function replicaIn(region: string, primary: KmsKey): KmsKey {
  return { ...primary, region, related: relatedOf(primary), arn: arnIn(primary, region) };
}

/**
 * Authorizes the caller for the replica that UpdatePrimaryRegion names: it takes the same permission there as on the
 * primary.
 */
export async function admitToNextPrimary(question: Question, primary: KmsKey, deps: AccessDeps): Promise<KmsKey> {
  const region = String(question.input['PrimaryRegion']);
  assertReplicaIn(region, primary);
  const { keyId, accountId } = primary;
  const scope = { partition: deps.partition, region, accountId };
  const key = await findNamed({ accountId, keyId }, { scope, lookup: deps });
  const there = { ...question, call: { ...question.call, region } };
  const target: Target = { about: 'key', arn: key.arn, ownerId: accountId, key };
  await permit(authorize, accessRequest(there, actionOf(question.operation), { target, deps }));
  return key;
}

/** Creating a key with tags also takes the permission to tag. */
function accountActionsOf({ operation, input }: Question): readonly string[] {
  const tags = operation.name === 'CreateKey' ? input['Tags'] : undefined;
  return Array.isArray(tags) && tags.length > 0 ? [actionOf(operation), 'kms:TagResource'] : [actionOf(operation)];
}

interface Context {
  readonly scope: ArnScope;
  readonly deps: AccessDeps;
}

/** Waits only if something has to be looked up. */
function permit(
  authorizing: (request: AccessRequest) => void,
  request: AccessRequest | Promise<AccessRequest>,
): void | Promise<void> {
  return request instanceof Promise ? request.then(authorizing) : authorizing(request);
}

/** A Deny is final; grants are consulted only when no policy decides. */
async function permitOnKey(
  authorizing: (request: AccessRequest) => void,
  key: KmsKey,
  asking: OnKey & { readonly named?: Named },
): Promise<void> {
  const made = requestFor(key, asking);
  const request = made instanceof Promise ? await made : made;
  const decision = evaluate(request);
  if (decision === 'allowed') return;
  const grantee = isImplicit(decision) ? await granteeOn(key, asking) : undefined;
  authorizing({ ...request, grantee });
}

async function granteeOn(key: KmsKey, { reference, question, context }: OnKey): Promise<Grantee | undefined> {
  const asked = grantQuestionOf(reference.action, question.input);
  const { call, grantTokens: tokens, onMoreGrants } = question;
  const asker = { caller: call.caller, tokens, onMore: () => onMoreGrants(key) };
  return asked && granteeOf(key, asked, asker, context.deps.grants);
}

async function admitToKey(reference: KeyReference, question: Asking, context: Context): Promise<KmsKey> {
  const { member, identifiers } = reference;
  const identifier = question.input[member];
  if (typeof identifier !== 'string') return admitToCiphertextKey(reference, question, context);

  const { scope, deps } = context;
  const named = readDeclared(identifier, { identifiers, scope, operation: question.operation });
  if (named.accountId !== scope.accountId) return admitToForeignKey(named, { reference, question, context });
  const key = await findNamed(named, { scope, lookup: deps });
  await permitOnKey(authorize, key, { reference, question, context, named });
  return key;
}

/** Operations that AWS allows on another account's key (KMS Developer Guide, "Permissions reference"). */
const acrossAccounts: ReadonlySet<string> = new Set([
  ...TrackedOperation.options,
  'CreateGrant',
  'DescribeKey',
  'GetKeyRotationStatus',
  'GetPublicKey',
  'ListGrants',
  'RetireGrant',
  'RevokeGrant',
]);

interface OnKey {
  readonly reference: KeyReference;
  readonly question: Asking;
  readonly context: Context;
}

/** A key of another account. Whether it exists or its policy refuses the caller, the answer is the same. */
async function admitToForeignKey(named: Named, asking: OnKey): Promise<KmsKey> {
  const { reference, question, context } = asking;
  const { scope, deps } = context;
  const refusal = deniedForeignKey(question.call.caller, reference.action);
  if (!acrossAccounts.has(question.operation.name)) throw refusal;
  const found = await findNamed(named, { scope: { ...scope, accountId: named.accountId }, lookup: deps }).catch(
    (error: unknown) => {
      if (!(error instanceof KmsException)) throw error;
      return undefined;
    },
  );
  const key = getForeign(found, { question, deps, refusal });
  await permitOnKey(authorizeForeign, key, { ...asking, named });
  return key;
}

interface AboutForeign {
  readonly question: Pick<Question, 'call'>;
  readonly deps: Pick<AccessRequestDeps, 'policies'>;
  readonly refusal: KmsException;
}

/**
 * Another account's key, if it is there. Throws ThrottlingException if no more of the caller's policies may be compiled
 * now, whether or not there is such a key; that the owner's may not is the refusal.
 */
export function getForeign(key: KmsKey | undefined, { question, deps, refusal }: AboutForeign): KmsKey {
  deps.policies.requester(question.call.caller);
  if (key === undefined) throw refusal;
  try {
    deps.policies.keyPolicy(key);
  } catch (error) {
    throw error instanceof KmsException ? refusal : error;
  }
  return key;
}

/** The key named by a ciphertext. */
async function admitToCiphertextKey(reference: KeyReference, question: Asking, context: Context): Promise<KmsKey> {
  const { caller } = question.call;
  const found = await findCiphertextKey(reference, question, context);
  const isOwn = found?.accountId === caller.accountId;
  const about = () => ({ question, deps: context.deps, refusal: deniedCiphertextKey(caller, reference.action) });
  const key = isOwn ? found : getForeign(found, about());
  await permitOnKey(authorizeCiphertextKey, key, { reference, question, context });
  return key;
}

async function findCiphertextKey(
  { ciphertext }: KeyReference,
  { input }: Question,
  { scope, deps }: Context,
): Promise<KmsKey | undefined> {
  const blob = ciphertext === undefined ? undefined : input[ciphertext];
  const { keyId } = blobHeaderOf(requireCiphertext(blob as Uint8Array | undefined));
  return deps.keys.findKey(scope.region, keyId);
}

function requestFor(
  key: KmsKey,
  { reference, question, context, named }: OnKey & { readonly named?: Named },
): AccessRequest | Promise<AccessRequest> {
  const other = keyReferencesOf(question.operation).find((one) => one.member !== reference.member);
  const target: Target = {
    about: 'key',
    arn: key.arn,
    ownerId: key.accountId,
    key,
    requestAlias: named && 'aliasName' in named ? named.aliasName : undefined,
    isSameKey: other && (() => isNamedBy(other, key, { question, context })),
  };
  return accessRequest(question, reference.action, { target, deps: context.deps });
}

/** Whether the request's other key is also `key`. */
async function isNamedBy(
  other: KeyReference,
  key: KmsKey,
  { question, context }: Pick<OnKey, 'question' | 'context'>,
): Promise<boolean> {
  const { scope, deps } = context;
  const identifier = question.input[other.member];
  try {
    if (typeof identifier !== 'string') return (await findCiphertextKey(other, question, context))?.arn === key.arn;
    const named = readIdentifier(identifier, other.identifiers, scope);
    const found = await findNamed(named, { scope: { ...scope, accountId: named.accountId }, lookup: deps });
    return found.arn === key.arn;
  } catch (error) {
    if (error instanceof KmsException) return false;
    throw error;
  }
}

/**
 * Takes a permission on the alias and one on its present key. The request itself names the key that it will point to.
 */
async function admitToAlias(question: Question, name: string, { scope, deps }: Context): Promise<Alias | undefined> {
  const { operation } = question;
  const action = actionOf(operation);
  const arn = aliasArn(scope, name);
  const ofAlias: Target = { about: 'alias', arn, ownerId: scope.accountId };
  await permit(authorize, accessRequest(question, action, { target: ofAlias, deps }));
  if (operation.name === 'CreateAlias') return undefined;
  const alias = await deps.aliases.findAlias(scope, name);
  if (!alias) throw new KmsException('NotFoundException', `Alias ${arn} is not found.`);
  const key = await deps.keys.findKey(scope.region, alias.targetKeyId);
  // An alias whose key is already gone has nothing left to protect.
  if (key) {
    const target: Target = { about: 'key', arn: key.arn, ownerId: key.accountId, key };
    await permit(authorize, accessRequest(question, action, { target, deps }));
  }
  return alias;
}

/** Some operations do not declare InvalidArnException: they answer a bad ARN as a missing key. */
function readDeclared(
  identifier: string,
  { identifiers, scope, operation }: { scope: ArnScope; operation: Operation } & Pick<KeyReference, 'identifiers'>,
): Named {
  try {
    return readIdentifier(identifier, identifiers, scope);
  } catch (error) {
    if (!(error instanceof KmsException) || operation.errors.includes(error.code)) throw error;
    throw new KmsException('NotFoundException', error.message);
  }
}
