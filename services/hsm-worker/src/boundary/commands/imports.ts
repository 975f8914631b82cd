import { createPrivateKey } from 'node:crypto';
import { CannotOpenError } from '@keyfleet/shared/encoding/aead';
import type { InputOf } from '@keyfleet/shared/hsm/commands';
import { isKeyId } from '@keyfleet/shared/ids';
import { algorithmsOf } from '@keyfleet/shared/key-specs';
import { decryptOaep, oaepHashes } from '../crypto/rsa-oaep.ts';
import { RefusedError } from '../errors.ts';
import { BackingKey, isSecretKey } from '../keys/backing-key.ts';
import { privateKeyDer, publicKeyDer, type RsaBits } from '../keys/key-pair.ts';
import { isOfSpec } from '../keys/key-spec-of.ts';
import { type BackingKeyHeader, ExportedKeyToken } from '../tokens/exported-key-token.ts';
import { ImportToken, openImportToken } from '../tokens/import-token.ts';
import { materialIdOf } from '../tokens/material-id.ts';
import { sealToken } from '../tokens/sealed-token.ts';
import type { CommandContext, CommandHandler } from './command.ts';

/** How long an import token is good for, as AWS has it. */
const VALID_MS = 24 * 3_600_000;

const bitsOf: Readonly<Record<InputOf<'GenerateImportKey'>['wrappingKeySpec'], RsaBits>> = {
  RSA_2048: 2048,
  RSA_3072: 3072,
  RSA_4096: 4096,
};

export const generateImportKey: CommandHandler<'GenerateImportKey'> = async (input, context) => {
  assertImportable(input);
  const pair = await context.rsaKeyPairs.take(bitsOf[input.wrappingKeySpec]);
  const validTo = context.clock.now() + VALID_MS;
  const secret = privateKeyDer(pair);
  try {
    const importToken = sealToken(ImportToken, { header: { ...input, validTo }, secret }, context);
    return { importToken, publicKey: publicKeyDer(pair), validTo };
  } finally {
    secret.fill(0);
  }
};

export const importBackingKey: CommandHandler<'ImportBackingKey'> = async (input, context) => {
  assertImportable(input);
  const material = await unwrapped(input, context);
  try {
    return sealed(input, material, context);
  } finally {
    material.fill(0);
  }
};

/** Refuses with `invalid-input` what no material can be imported into. */
function assertImportable(input: Pick<InputOf<'ImportBackingKey'>, 'keyId' | 'keySpec' | 'keyUsage'>): void {
  if (isKeyId(input.keyId) && isSecretKey(input.keySpec) && algorithmsOf(input).length > 0) return;
  throw new RefusedError('invalid-input');
}

/** Whatever does not unwrap is `cannot-open`: how far it came, nobody learns (Manger's attack on OAEP asks just that). */
async function unwrapped(input: InputOf<'ImportBackingKey'>, { keyring, clock }: CommandContext): Promise<Buffer> {
  const { header, secret } = openImportToken(input, { keyring, now: clock.now() });
  try {
    const wrappingKey = createPrivateKey({ key: secret, format: 'der', type: 'pkcs8' });
    return await decryptOaep(wrappingKey, oaepHashes[header.wrappingAlgorithm]!, input.encryptedMaterial);
  } catch (error) {
    throw error instanceof CannotOpenError ? new RefusedError('cannot-open') : error;
  } finally {
    secret.fill(0);
  }
}

function sealed(input: InputOf<'ImportBackingKey'>, material: Buffer, context: CommandContext) {
  const { keyId, account, keySpec, keyUsage } = input;
  const materialId = materialIdOf(context.keyring.materialIdKey, { keyId, material });
  const header = { keyId, account, materialId, keySpec, keyUsage, origin: 'EXTERNAL' as const };
  assertOfSpec(header, material);
  return { token: sealToken(ExportedKeyToken, { header, secret: material }, context), materialId };
}

function assertOfSpec(header: BackingKeyHeader, material: Buffer): void {
  // OpenSSL has no key of no bytes.
  if (material.length > 0 && isOfSpec(new BackingKey(header, material))) return;
  throw new RefusedError('incorrect-material');
}
