import { createPrivateKey } from 'node:crypto';
import { CannotOpenError } from '@keyfleet/shared/encoding/aead';
import type { InputOf } from '@keyfleet/shared/hsm/commands';
import { ExportedKeyToken } from '@keyfleet/shared/hsm/exported-key-token';
import { isKeyId } from '@keyfleet/shared/ids';
import { algorithmsOf, keySpecs, type KeySpecRow } from '@keyfleet/shared/key-specs';
import type { Caller } from '../caller.ts';
import { unwrapMaterial } from '../crypto/material-wrapping.ts';
import { RefusedError } from '../errors.ts';
import { isSecretKey } from '../keys/backing-keys.ts';
import { privateKeyDer, publicKeyDer, type RsaBits } from '../keys/key-pair.ts';
import { materialToSeal, publicKeyDerOf } from '../keys/material-to-seal.ts';
import { ImportToken, openImportToken } from '../tokens/import-token.ts';
import { materialIdOf } from '../tokens/material-id.ts';
import { sealToken } from '../tokens/sealed-token.ts';
import type { CommandContext, CommandHandler } from './command.ts';

/** How long an import token is valid, as in AWS. */
const VALID_MS = 24 * 3_600_000;

const bitsOf: Readonly<Record<InputOf<'GenerateImportKey'>['wrappingKeySpec'], RsaBits>> = {
  RSA_2048: 2048,
  RSA_3072: 3072,
  RSA_4096: 4096,
};

export const generateImportKey: CommandHandler<'GenerateImportKey'> = async (input, context, caller) => {
  assertImportable(input);
  const pair = await context.rsaKeyPairs.take(bitsOf[input.wrappingKeySpec], { account: input.account, caller });
  const validTo = context.clock.now() + VALID_MS;
  const secret = privateKeyDer(pair);
  try {
    const importToken = sealToken(ImportToken, { header: { ...input, validTo }, secret }, context);
    return { importToken, publicKey: publicKeyDer(pair), validTo };
  } finally {
    secret.fill(0);
  }
};

export const importBackingKey: CommandHandler<'ImportBackingKey'> = async (input, context, caller) => {
  assertImportable(input);
  const unwrapped = await unwrappedMaterial(input, context, caller);
  const asker = { account: input.account, caller };
  try {
    const kind = { keySpec: input.keySpec, origin: 'EXTERNAL' } as const;
    const material = await materialToSeal(kind, unwrapped, (work) => context.rsaKeyPairs.inTurn(asker, work));
    if (material === undefined) throw new RefusedError('incorrect-material');
    return sealed(input, material, context);
  } finally {
    unwrapped.fill(0);
  }
};

/** Refuses with `invalid-input` if the key cannot take imported material. */
function assertImportable(input: Pick<InputOf<'ImportBackingKey'>, 'keyId' | 'keySpec' | 'keyUsage'>): void {
  const { origins }: KeySpecRow = keySpecs[input.keySpec];
  if (isKeyId(input.keyId) && origins.includes('EXTERNAL') && algorithmsOf(input).length > 0) return;
  throw new RefusedError('invalid-input');
}

/**
 * Every failure to unwrap is `cannot-open`. Nobody learns how far it got: that is what Manger's attack on OAEP asks.
 */
async function unwrappedMaterial(
  input: InputOf<'ImportBackingKey'>,
  { keyring, clock, poolTurns }: CommandContext,
  caller: Caller | undefined,
): Promise<Buffer> {
  const { header, secret } = openImportToken(input, { keyring, now: clock.now() });
  try {
    const wrappingKey = createPrivateKey({ key: secret, format: 'der', type: 'pkcs8' });
    return await poolTurns.run(input, caller, () =>
      unwrapMaterial(wrappingKey, header.wrappingAlgorithm, input.encryptedMaterial),
    );
  } catch (error) {
    throw error instanceof CannotOpenError ? new RefusedError('cannot-open') : error;
  } finally {
    secret.fill(0);
  }
}

/** Seals the material and zeroes it. */
function sealed(input: InputOf<'ImportBackingKey'>, material: Buffer, context: CommandContext) {
  const { keyId, account, keySpec, keyUsage } = input;
  try {
    const materialId = materialIdOf(context.keyring.materialIdKey, { keyId, material });
    const header = { keyId, account, materialId, keySpec, keyUsage, origin: 'EXTERNAL' as const };
    const token = sealToken(ExportedKeyToken, { header, secret: material }, context);
    return { token, materialId, ...(!isSecretKey(keySpec) && { publicKey: publicKeyDerOf(material) }) };
  } finally {
    material.fill(0);
  }
}
