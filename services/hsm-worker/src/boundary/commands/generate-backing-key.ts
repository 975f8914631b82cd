import { isBlobKeyId } from '@keyfleet/shared/hsm/ciphertext-blob';
import type { InputOf } from '@keyfleet/shared/hsm/commands';
import { keySpecs, type KeyUsage } from '@keyfleet/shared/key-specs';
import { newKeyPair, privateKeyDer, publicKeyDer } from '../keys/key-pair.ts';
import { secretLengthOf } from '../keys/key-spec-of.ts';
import { ExportedKeyToken } from '../tokens/exported-key-token.ts';
import { materialIdOf } from '../tokens/material-id.ts';
import { sealToken } from '../tokens/sealed-token.ts';
import { type CommandContext, type CommandHandler, RefusedError } from './command.ts';

export const generateBackingKey: CommandHandler<'GenerateBackingKey'> = (input, context) => {
  const { keyId, keySpec, keyUsage } = input;
  const usages: Partial<Record<KeyUsage, readonly string[]>> = keySpecs[keySpec].usages;
  if (!isBlobKeyId(keyId) || usages[keyUsage] === undefined) throw new RefusedError('invalid-input');

  const length = secretLengthOf(keySpec);
  if (length !== undefined) return sealed(input, context.random(length), context);

  const pair = newKeyPair(keySpec, context.rsaKeyPairs);
  if (pair === undefined) throw new RefusedError('invalid-input');
  return pair.then((made) => ({ ...sealed(input, privateKeyDer(made), context), publicKey: publicKeyDer(made) }));
};

/** Seals the material of a new key and zeroes it. */
function sealed(
  { keyId, account, keySpec, keyUsage }: InputOf<'GenerateBackingKey'>,
  material: Buffer,
  context: CommandContext,
): { token: Buffer; materialId: Buffer } {
  try {
    const materialId = materialIdOf(context.keyring.materialIdKey, { keyId, material });
    const header = { keyId, account, materialId, keySpec, keyUsage, origin: 'AWS_KMS' as const };
    return { token: sealToken(ExportedKeyToken, { header, secret: material }, context), materialId };
  } finally {
    material.fill(0);
  }
}
