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
 * A key id of a KMS key (UUID or mrk-), without Region or account: replicas of a multi-Region key share it. It goes
 * with every token, and so does the account; the HSM refuses a token of another: one moved to another's record is
 * worthless there.
 */
export const keyId = z.string().min(1).max(64);
/** The account that a KMS key belongs to. In commands that use a key it is only compared with what the token says. */
export const AccountId = z.string().regex(ACCOUNT_ID);
/** What every command says of the KMS key that it is for. */
export const key = { keyId, account: z.string(), token };
/** Key material id: 32 bytes, the API's 64 hex digits. */
export const materialId = bytes({ min: 32, max: 32 });
/** Of the KMS key that material is imported into: all that an import token is bound to. */
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
