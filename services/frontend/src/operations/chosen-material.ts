import { privateKeyOfDer } from '@keyfleet/shared/wrap-material';
import { type KeySpecRow, keySpecs } from '@keyfleet/shared/key-specs';
import { wrapMaterial } from '@keyfleet/shared/wrap-material';
import { HsmRefusedError } from '../hsm/commands.ts';
import type { MaterialSource } from '../keys/backing-keys.ts';
import { invalid, MATERIAL_TAG } from '../keys/development-tags.ts';
import type { HeldKey, KmsKey } from '../keys/kms-key.ts';

const wrapping = { wrappingAlgorithm: 'RSA_AES_KEY_WRAP_SHA_256', wrappingKeySpec: 'RSA_2048' } as const;

/**
 * Has an HSM take the material that a development tag gives, as it takes imported material. `base64`: the bytes of a
 * symmetric or HMAC key; of a private key DER, in PKCS #8 or, as LocalStack takes it too, in SEC 1 or PKCS #1. Throws
 * ValidationException if that is no key of the spec.
 */
export async function chosenBackingKey(
  {
    keyId,
    accountId,
    region,
    keySpec,
    keyUsage,
  }: Pick<KmsKey, 'keyId' | 'accountId' | 'region' | 'keySpec' | 'keyUsage'>,
  base64: string,
  { hsm, clock, deadline }: MaterialSource,
): Promise<HeldKey> {
  const wanted = { keyId, account: accountId, region, keySpec, keyUsage };
  const material = materialOf(keySpec, base64);
  try {
    const { importToken, publicKey } = await hsm.execute('GenerateImportKey', { ...wanted, ...wrapping }, deadline);
    const encryptedMaterial = wrapMaterial(wrapping.wrappingAlgorithm, publicKey, material);
    const made = await hsm.execute('ImportBackingKey', { ...wanted, importToken, encryptedMaterial }, deadline);
    const materialId = Buffer.from(made.materialId).toString('hex');
    return { materialId, token: made.token, publicKey: made.publicKey, createdAt: clock.now() };
  } catch (error) {
    const isOther = error instanceof HsmRefusedError && error.refusal === 'incorrect-material';
    throw isOther ? incorrect(keySpec, error) : error;
  } finally {
    material.fill(0);
  }
}

function materialOf(keySpec: KmsKey['keySpec'], base64: string): Buffer {
  const bytes = Buffer.from(base64, 'base64');
  const { kind, bits = 0 }: KeySpecRow = keySpecs[keySpec];
  // OpenSSL wraps no empty key.
  if (bytes.toString('base64') !== base64 || bytes.length === 0) throw incorrect(keySpec);
  if (kind === 'symmetric') return bytes;
  if (kind === 'hmac') return padded(bytes, bits / 8);
  const key = privateKeyOfDer(bytes);
  bytes.fill(0);
  if (key === undefined) throw incorrect(keySpec);
  return key.export({ format: 'der', type: 'pkcs8' });
}

/**
 * LocalStack takes shorter ones. With zeros at its end an HMAC key is the same key (RFC 2104, 2). Overwrites `bytes`.
 */
function padded(bytes: Buffer, length: number): Buffer {
  if (bytes.length >= length) return bytes;
  const longer = Buffer.alloc(length);
  bytes.copy(longer);
  bytes.fill(0);
  return longer;
}

function incorrect(keySpec: KmsKey['keySpec'], cause?: unknown): Error {
  return invalid(MATERIAL_TAG, `must be material of a key of ${keySpec}, in base64`, cause);
}
