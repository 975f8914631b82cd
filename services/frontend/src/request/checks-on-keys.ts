import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { isAlias } from '@keyfleet/shared/ids';
import { keySpecs } from '@keyfleet/shared/key-specs';
import {
  assertExpiration,
  assertImportedMaterial,
  assertImportedOrigin,
  assertImportType,
  type ExpirationInput,
  type ImportTypeInput,
} from '../keys/import.ts';
import { assertAutomaticRotation, assertOnDemandRotation, assertOwnOrigin } from '../keys/key-rotation.ts';
import { assertKeyState } from '../keys/key-states.ts';
import { assertNoReplica, assertPrimary } from '../keys/multi-region.ts';
import { type WrappingInput, wrappingOf } from '../keys/wrapping.ts';
import { assertAliasCharacters, assertAliasName, assertSameKind } from '../operations/aliases.ts';
import { chooseKind, type KeyKindRequest } from '../operations/create-key.ts';
import { assertPendingWindow } from '../operations/key-deletion.ts';
import { assertReadyForRotation } from '../multi-region/pending-rotation.ts';
import { assertServed } from '../operations/multi-region.ts';
import { assertDefaultPolicy } from '../operations/policies.ts';
import { assertNotReserved, assertTags, type Tag } from '../operations/tags.ts';
import { principalArnsOf } from '../policy/bound-policy.ts';
import type { Policy } from '../policy/document.ts';
import { type AccessRequest, evaluateKeyPolicy } from '../policy/evaluate.ts';
import { readGivenKeyPolicy } from '../policy/given-policy.ts';
import { malformed } from '../policy/malformed.ts';
import { invalidPrincipals } from '../policy/principals.ts';
import { principalIdsOf } from '../policy/users.ts';
import { accessRequest, type Target } from './access-request.ts';
import { admitToNextPrimary } from './access.ts';
import { check } from './check.ts';
import { accessDeps } from './checks-on-use.ts';

/**
 * Throws MalformedPolicyDocumentException unless the policy would let the same caller change it again, from the same
 * place at the same time. Delegating to the account is enough: its identity policies can be changed at any time.
 * `policy` is one from a caller, so it applies to this key and no other. `asked` is the access request for that
 * PutKeyPolicy.
 */
function assertKeepsControl(policy: Policy, asked: AccessRequest): void {
  const answer = evaluateKeyPolicy(policy, asked);
  if (answer !== 'denied' && answer !== 'none') return;
  throw malformed('The new key policy will not allow you to update the key policy in the future.');
}

export const aliasName = check<{ AliasName: string }>('the alias has a name that a customer may give', ({ input }) =>
  assertAliasName(input.AliasName),
);

export const newAliasName = check<{ AliasName: string }>('the alias has no colon in its name', ({ input }) =>
  assertAliasCharacters(input.AliasName),
);

export const aliasTarget = check<{ TargetKeyId: string }>('the target is a key and no alias', ({ input }) => {
  if (isAlias(input.TargetKeyId))
    throw new KmsException('ValidationException', 'Aliases must refer to keys. Not aliases');
});

export const aliasKind = check<{ AliasName: string }>(
  'the new target is of the kind of the old one',
  async ({ input, keys: [key], alias, deps }) => {
    const current = alias && (await deps.keys.findKey(key!.region, alias.targetKeyId));
    if (current) assertSameKind(input.AliasName, current, key!);
  },
);

export const keyKind = check<KeyKindRequest>('there are keys of this kind', ({ input }) => void chooseKind(input));

export const tags = check<{ Tags?: readonly Tag[] | undefined }>('a key can have the tags', ({ input }) =>
  assertTags(input.Tags ?? []),
);

export const tagKeys = check<{ TagKeys: readonly string[] }>('no tag is reserved', ({ input }) =>
  assertNotReserved(input.TagKeys),
);

export const pendingWindow = check<{ PendingWindowInDays: number }>('the waiting period is 7 to 30 days', ({ input }) =>
  assertPendingWindow(input.PendingWindowInDays),
);

export const policyName = check<{ PolicyName: string }>('the policy is the one that there is', ({ input }) =>
  assertDefaultPolicy(input.PolicyName),
);

/** CreateKey has no key yet: its policy applies to the key that will be created. */
export const keyPolicy = check<{ Policy?: string | undefined; BypassPolicyLockoutSafetyCheck: boolean }>(
  'every element of the policy is one that is enforced, and the policy can be changed again',
  async (request) => {
    const {
      input,
      call,
      deps,
      keys: [key],
    } = request;
    if (input.Policy === undefined) return;
    const policy = readGivenKeyPolicy(input.Policy, deps.partition);
    const asking = { caller: call.caller, users: deps.users };
    request.principalIds = await principalIdsOf(principalArnsOf(policy), asking, invalidPrincipals);
    if (input.BypassPolicyLockoutSafetyCheck) return;
    const target: Target = { about: 'key', arn: key?.arn ?? '*', ownerId: call.caller.accountId, key };
    const question = { operation: request.operation, input: { ...input }, call };
    const asked = await accessRequest(question, 'kms:PutKeyPolicy', { target, deps: accessDeps(deps) });
    assertKeepsControl(policy, asked);
  },
);

export const publicKey = check('the key is asymmetric', ({ keys: [key] }) => {
  const { kind } = keySpecs[key!.keySpec];
  if (kind === 'symmetric' || kind === 'hmac') throw new KmsException('UnsupportedOperationException');
});

export const ownOrigin = check('KMS made the key material', ({ keys: [key] }) => assertOwnOrigin(key!));

export const automaticRotation = check('the key can rotate by itself', ({ keys: [key] }) =>
  assertAutomaticRotation(key!),
);

export const onDemandRotation = check('the key can rotate now', async ({ keys: [key], deps }) => {
  assertOnDemandRotation(key!, deps.clock.now());
  await assertReadyForRotation(key!, deps);
});

/** AWS reports nothing more for a key that never rotates. */
export const rotations = check('the key is of a kind that rotates', ({ keys: [key] }) => {
  if (key!.keySpec !== 'SYMMETRIC_DEFAULT') throw new KmsException('UnsupportedOperationException');
});

export const importedOrigin = check('the key takes imported material', ({ keys: [key] }) => assertImportedOrigin(key!));

export const wrapping = check<WrappingInput>('the material can be wrapped so', ({ input, keys: [key] }) => {
  wrappingOf(input, key!);
});

export const expiration = check<ExpirationInput>(
  'there is a date to expire at, within a year, just if the material expires',
  ({ input, deps }) => assertExpiration(input, deps.clock.now()),
);

export const importType = check<ImportTypeInput>('the key takes this material', ({ input, keys: [key] }) =>
  assertImportType(input, key!),
);

export const importedMaterial = check<{ KeyMaterialId?: string | undefined }>(
  'the key material is one that was imported',
  ({ input, keys: [key] }) => assertImportedMaterial(input.KeyMaterialId, key!),
);

export const primary = check('the key is the primary of a multi-Region key', ({ keys: [key] }) => assertPrimary(key!));

export const noReplica = check('the key is no replica', ({ keys: [key] }) => assertNoReplica(key!));

export const replicaRegion = check<{ ReplicaRegion: string }>('the Region is served', ({ input, deps }) =>
  assertServed(input.ReplicaRegion, deps.regions),
);

/** Adds the key to the request's keys. */
export const nextPrimary = check<{ PrimaryRegion: string }>(
  'the Region has a replica, the caller may there too, and its state allows it',
  async ({ operation, call, keys, deps, input }) => {
    const lookup = { keys: deps.keys, aliases: deps.aliases, grants: deps.grants };
    const question = { operation, call, input: { ...input } };
    const key = await admitToNextPrimary(question, keys[0]!, { ...accessDeps(deps), ...lookup });
    keys.push(key);
    assertKeyState(operation.name, key, deps.clock.now());
  },
);
