import { timingSafeEqual } from 'node:crypto';
import type { InputOf } from '@keyfleet/shared/hsm/commands';
import { ExportedKeyToken } from '@keyfleet/shared/hsm/exported-key-token';
import { isKeyId } from '@keyfleet/shared/ids';
import { algorithmsOf } from '@keyfleet/shared/key-specs';
import { RefusedError } from '../errors.ts';
import { belongsTo, isSecretKey } from '../keys/backing-keys.ts';
import { newKeyPair, privateKeyDer, publicKeyDer } from '../keys/key-pair.ts';
import { isOfSpec, secretLengthOf } from '../keys/key-spec-of.ts';
import { materialToSeal, publicKeyDerOf } from '../keys/material-to-seal.ts';
import { openExportedKey } from '../tokens/exported-key-token.ts';
import { materialIdOf } from '../tokens/material-id.ts';
import { sealToken } from '../tokens/sealed-token.ts';
import { checkResealed, resealToken as reseal } from '../tokens/stored-token.ts';
import { type CommandContext, type CommandHandler, openedKeyOf } from './command.ts';
import { isPair } from './pairwise.ts';

export const generateBackingKey: CommandHandler<'GenerateBackingKey'> = (input, context, caller) => {
  const { keyId, account, keySpec } = input;
  if (!isKeyId(keyId) || algorithmsOf(input).length === 0) throw new RefusedError('invalid-input');

  const length = secretLengthOf(keySpec);
  if (length !== undefined) return sealed(input, context.random(length), context);

  const pair = newKeyPair(keySpec, context.rsaKeyPairs, { account, caller });
  if (pair === undefined) throw new RefusedError('invalid-input');
  return pair.then((made) => ({ ...sealed(input, privateKeyDer(made), context), publicKey: publicKeyDer(made) }));
};

export const describeBackingKey: CommandHandler<'DescribeBackingKey'> = (input, context, caller) => {
  const backingKey = openedKeyOf(input, context);
  const { materialId, keySpec, keyUsage } = backingKey;
  if (!isOfSpec(backingKey)) throw new RefusedError('cannot-open');
  if (isSecretKey(keySpec)) return { materialId, keySpec, keyUsage };
  return isPair(backingKey, context, caller).then((belongsTogether) => {
    if (!belongsTogether) throw new RefusedError('cannot-open');
    const publicKey = backingKey.publicKey.export({ format: 'der', type: 'spki' });
    return { materialId, keySpec, keyUsage, publicKey };
  });
};

/** What any honest member would have sealed for the key is sealed here, or it is refused. */
export const checkBackingKey: CommandHandler<'CheckBackingKey'> = async (input, context, caller) => {
  const { header, secret } = openExportedKey(input.token, context.keyring);
  const { materialId, keySpec, keyUsage } = header;
  const asker = { account: input.account, caller };
  let material: Buffer | undefined;
  try {
    if (header.keyId !== input.keyId || !belongsTo(input.account, header)) throw new RefusedError('damaged-token');
    material = await materialToSeal(header, secret, (work) => context.rsaKeyPairs.inTurn(asker, work));
    if (material?.length !== secret.length || !timingSafeEqual(material, secret)) throw new RefusedError('cannot-open');
    return { materialId, keySpec, keyUsage, ...(!isSecretKey(keySpec) && { publicKey: publicKeyDerOf(material) }) };
  } finally {
    secret.fill(0);
    material?.fill(0);
  }
};

export const evictBackingKey: CommandHandler<'EvictBackingKey'> = ({ materialId }, { backingKeys }) => {
  backingKeys.evict(materialId);
  return {};
};

/** This command and CheckToken take credential tokens too. */
export const resealToken: CommandHandler<'ResealToken'> = (stored, context) => ({ token: reseal(stored, context) });

export const checkToken: CommandHandler<'CheckToken'> = ({ token, replaces, account }, { keyring }) => {
  checkResealed(token, { token: replaces, account }, keyring);
  return {};
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
