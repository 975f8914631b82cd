import { z } from 'zod';
import { bytes } from '../encoding/canonical.ts';
import { messageTypes, wrappingAlgorithms, wrappingKeySpecs } from '../algorithms.ts';
import { ACCOUNT_ID } from '../ids.ts';
import { type KeySpec, keySpecs, keyUsages } from '../key-specs.ts';

export const KeySpecName = z.enum(Object.keys(keySpecs) as [KeySpec, ...KeySpec[]]);
export const KeyUsageName = z.enum(keyUsages);
export const WrappingKeySpecName = z.enum(wrappingKeySpecs);

/** An exported key token: a backing key sealed under a domain key (docs/formats.md). */
export const token = bytes({ max: 16_384 });
/**
 * The key id of a KMS key (UUID or mrk-) without Region or account: replicas of a multi-Region key share it. It
 * accompanies every token, as does the account. The HSM refuses the token of another key or account, so a token moved
 * to another's record is worthless there.
 */
export const keyId = z.string().min(1).max(64);
/** The account that owns a KMS key. Commands that use a key only compare it with the token's account. */
export const AccountId = z.string().regex(ACCOUNT_ID);
/** What every command says about its KMS key. */
export const key = { keyId, account: z.string(), token };
/** Key material id: 32 bytes, which are the API's 64 hex digits. */
export const materialId = bytes({ min: 32, max: 32 });
/** Describes the KMS key that material is imported into: everything an import token is bound to. */
export const imported = {
  keyId,
  account: AccountId,
  region: z.string().min(1).max(32),
  keySpec: KeySpecName,
  keyUsage: KeyUsageName,
};
export const wrappingAlgorithm = z.enum(wrappingAlgorithms);
export const encryptionContext = z.record(z.string(), z.string());
export const algorithm = z.string().max(64);
export const messageType = z.enum(messageTypes);
/** Bytes that GenerateRandom makes. */
export const randomLength = z.int().min(1).max(1024);

/**
 * A CloudHSM cluster: a token that only some hsm-workers have (docs/custom-key-stores.md). The others refuse with
 * `no-cluster`.
 */
export const cluster = { clusterId: z.string().max(64), account: AccountId, region: z.string().min(1).max(32) };
/**
 * `token`: the password of its user, sealed by SealCredential for the cluster (as the access key id) and `principal`.
 */
export const loggedIn = { ...cluster, principal: z.string().max(2048), token };
