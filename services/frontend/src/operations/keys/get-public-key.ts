import type { GetPublicKey } from '@keyfleet/shared/api/keys';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { keySpecs } from '@keyfleet/shared/key-specs';
import { specMembersOf } from '../../keys/key-metadata.ts';
import type { Handler } from '../handler.ts';

export const getPublicKey: Handler<typeof GetPublicKey, object> = async (_input, { key }) => {
  const { kind } = keySpecs[key.keySpec];
  if (kind === 'symmetric' || kind === 'hmac') {
    const message = `${key.arn} is not valid for this operation: it has no public key.`;
    throw new KmsException('UnsupportedOperationException', message);
  }
  const publicKey = key.backingKeys.at(-1)?.publicKey;
  if (!publicKey) throw new KmsException('KMSInvalidStateException', `${key.arn} is pending import.`);
  return { KeyId: key.arn, PublicKey: publicKey, ...specMembersOf(key) };
};
