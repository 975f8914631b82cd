import type { GetPublicKey } from '@keyfleet/shared/api/keys';
import { currentBackingKey } from '../../keys/backing-keys.ts';
import { specMembersOf } from '../../keys/key-metadata.ts';
import type { Handler } from '../handler.ts';

export const getPublicKey: Handler<typeof GetPublicKey, object> = async (_input, { key }) => {
  const { publicKey } = currentBackingKey(key);
  if (!publicKey) throw new Error(`the record of ${key.arn} has no public key`);
  return { KeyId: key.arn, PublicKey: publicKey, ...specMembersOf(key) };
};
