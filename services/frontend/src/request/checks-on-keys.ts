import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { keySpecs, type KeyUsage } from '@keyfleet/shared/key-specs';
import { isAway } from '../key-stores/key-place.ts';
import type { KmsKey } from '../keys/kms-key.ts';
import { loadStore } from '../operations/custom-key-stores.ts';
import { assertAlgorithm, assertKeyState, assertUsage } from '../keys/key-states.ts';
import { assertAutomaticRotation, assertOnDemandRotation, assertOwnOrigin } from '../keys/key-rotation.ts';
import { assertNoReplica, assertPrimary } from '../keys/multi-region.ts';
import { assertSameKind } from '../operations/aliases.ts';
import {
  assertExpiration,
  assertImportedMaterial,
  assertImportedOrigin,
  assertImportType,
  type ExpirationInput,
  type ImportTypeInput,
} from '../keys/import.ts';
import { type WrappingInput, wrappingOf } from '../keys/wrapping.ts';
import { assertReplicaRegion } from '../operations/multi-region.ts';
import { assertFits, assertOpens } from '../operations/ciphertexts.ts';
import type { Deps } from '../operations/handler.ts';
import { assertSignable, type SignatureInput } from '../operations/sign.ts';
import { readGivenKeyPolicy } from '../policy/given-policy.ts';
import { assertKeepsControl } from '../policy/lockout.ts';
import { assertPrincipalsExist } from '../policy/users.ts';
import { rateClassOf, rateClassOfKey } from '../quotas/request-rates.ts';
import { accessRequest, type AccessRequestDeps, type Target } from './access-request.ts';
import { admit, admitToNextPrimary } from './access.ts';
import { check } from './check.ts';

/** Of an operation that names one key, or of the first of two. */
const FIRST: number = 0;

/** Whether a key is there is told before whether the caller may use it, and its state only to who may. */
export const access = check('the key is there and the caller may', async (request) => {
  const { operation, call, keys, lastKnown, deps, grantTokens } = request;
  const input = request.input as Readonly<Record<string, unknown>>;
  const { keys: stored, aliases, grants } = deps;
  const lookup = lastKnown
    ? { keys: lastKnown, aliases: lastKnown, grants: lastKnown }
    : { keys: stored, aliases, grants };
  try {
    request.alias = await admit({ operation, input, call, grantTokens }, { ...accessDeps(deps), ...lookup }, keys);
  } finally {
    // Also what is refused, so that nobody can ask without end.
    if (rateClassOf(operation.name, input['KeyPairSpec']) === undefined) {
      deps.rates.charge({ accountId: call.caller.accountId, region: call.region }, rateClassOfKey(keys[0]?.keySpec));
    }
  }
});

export const state = check('the key is in a state for it', ({ operation, keys, deps }) => {
  const isOutside = keys.some(({ customKeyStoreId }) => customKeyStoreId !== undefined);
  if (isOutside) return stateOutside(operation.name, keys, deps);
  for (const key of keys) assertKeyState(operation.name, key, deps.clock.now());
  return undefined;
});

async function stateOutside(operation: string, keys: readonly KmsKey[], { clock, keyStores }: Deps): Promise<void> {
  for (const key of keys) assertKeyState(operation, key, clock.now(), await isAway(key, keyStores));
}

/** Nothing makes a key pair under a key of a custom key store. */
export const outsideStores = check('the key is in no custom key store', ({ keys: [key] }) => {
  if (key!.customKeyStoreId !== undefined) assertOwnOrigin(key!);
});

/** Only a CloudHSM makes random bytes. */
export const randomSource = check<{ CustomKeyStoreId?: string | undefined }>(
  'no custom key store is named that makes no random bytes',
  async ({ input, call, deps }) => {
    if (input.CustomKeyStoreId === undefined) return;
    const { store } = await loadStore(input.CustomKeyStoreId, call, deps);
    const message = `The custom key store ${store.id} is of type ${store.type}, which is not valid for this operation.`;
    throw new KmsException('UnsupportedOperationException', message);
  },
);

export const usage = (wanted: KeyUsage, which = FIRST) =>
  check(`the key usage is \`${wanted}\``, ({ operation, keys }) => assertUsage(keys[which]!, wanted, operation.name));

export const algorithm = <M extends string>(member: M, which = FIRST) =>
  check<Readonly<Record<M, string>>>(`the key has the algorithm of \`${member}\``, ({ input, keys }) =>
    assertAlgorithm(keys[which]!, input[member]),
  );

export const symmetric = check('the key is symmetric', ({ keys: [key] }) => {
  if (key!.keySpec === 'SYMMETRIC_DEFAULT') return;
  throw new KmsException('InvalidKeyUsageException', 'You cannot generate a data key with an asymmetric CMK');
});

export const publicKey = check('the key is asymmetric', ({ keys: [key] }) => {
  const { kind } = keySpecs[key!.keySpec];
  if (kind === 'symmetric' || kind === 'hmac') throw new KmsException('UnsupportedOperationException');
});

export const primary = check('the key is the primary of a multi-Region key', ({ keys: [key] }) => assertPrimary(key!));

/** Adds it to the request's keys. */
export const nextPrimary = check<{ PrimaryRegion: string }>(
  'the Region has a replica, the caller may there too, and its state allows it',
  async ({ operation, call, keys, deps, input }) => {
    const lookup = { keys: deps.keys, aliases: deps.aliases, grants: deps.grants };
    const question = { operation, call, input: { ...input } };
    const key = await admitToNextPrimary(question, keys[FIRST]!, { ...accessDeps(deps), ...lookup });
    keys.push(key);
    assertKeyState(operation.name, key, deps.clock.now());
  },
);

export const noReplica = check('the key is no replica', ({ keys: [key] }) => assertNoReplica(key!));

export const replicaRegion = check<{ ReplicaRegion: string }>(
  'the Region is served, and the key is not there yet',
  ({ input, keys: [key], deps }) => assertReplicaRegion(input.ReplicaRegion, key!, deps.regions),
);

export const ownOrigin = check('KMS made the key material', ({ keys: [key] }) => assertOwnOrigin(key!));

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

export const automaticRotation = check('the key can rotate by itself', ({ keys: [key] }) =>
  assertAutomaticRotation(key!),
);

export const onDemandRotation = check('the key can rotate now', ({ keys: [key], deps }) =>
  assertOnDemandRotation(key!, deps.clock.now()),
);

/** Of a key that never rotates AWS says nothing more. */
export const rotations = check('the key is of a kind that rotates', ({ keys: [key] }) => {
  if (key!.keySpec !== 'SYMMETRIC_DEFAULT') throw new KmsException('UnsupportedOperationException');
});

/** `algorithm`: the member that says how the ciphertext was made. */
export const ciphertextKey = <A extends string>(algorithm: A) =>
  check<Readonly<Record<A, string>> & { CiphertextBlob?: Uint8Array | undefined }>(
    'the key is the one that made the ciphertext',
    ({ input, keys: [key] }) => assertOpens(key!, input.CiphertextBlob, input[algorithm]),
  );

export const plaintextSize = check<{ Plaintext: Uint8Array; EncryptionAlgorithm: string }>(
  'the plaintext fits the algorithm',
  ({ input, keys: [key] }) => assertFits(input.Plaintext, input.EncryptionAlgorithm, key!.keySpec),
);

export const message = check<SignatureInput>('the message is one for the algorithm', ({ input, keys: [key] }) =>
  assertSignable(key!, input),
);

export const aliasKind = check<{ AliasName: string }>(
  'the new target is of the kind of the old one',
  async ({ input, keys: [key], alias, deps }) => {
    const current = alias && (await deps.keys.findKey(key!.region, alias.targetKeyId));
    if (current) assertSameKind(input.AliasName, current, key!);
  },
);

/** Of CreateKey there is no key yet: a policy is about its own, whichever that will be. */
export const keyPolicy = check<{ Policy?: string | undefined; BypassPolicyLockoutSafetyCheck: boolean }>(
  'every element of the policy is one that is enforced, and the policy can be changed again',
  async (request) => {
    const { input, call, deps, keys } = request;
    if (input.Policy === undefined) return;
    const policy = readGivenKeyPolicy(input.Policy, deps.partition);
    await assertPrincipalsExist(policy, call.caller, deps.users);
    if (input.BypassPolicyLockoutSafetyCheck) return;
    const key = keys[FIRST];
    const target: Target = { about: 'key', arn: key?.arn ?? '*', ownerId: call.caller.accountId, key };
    const question = { operation: request.operation, input: { ...input }, call };
    const asked = await accessRequest(question, 'kms:PutKeyPolicy', { target, deps: accessDeps(deps) });
    assertKeepsControl(policy, asked);
  },
);

export function accessDeps(deps: Deps): AccessRequestDeps {
  const { policies, partition, clock, lastUsages, aliases } = deps;
  return { policies, partition, clock, lastUsages, listAliases: (...page) => aliases.listAliases(...page) };
}
