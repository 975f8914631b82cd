import { isSecretKey } from '../keys/backing-key.ts';
import { openedKeyOf } from './backing-key-of.ts';
import type { CommandHandler } from './command.ts';

export const describeBackingKey: CommandHandler<'DescribeBackingKey'> = (input, context) => {
  const backingKey = openedKeyOf(input, context);
  const { materialId, keySpec, keyUsage } = backingKey;
  const described = { materialId, keySpec, keyUsage };
  if (isSecretKey(keySpec)) return described;
  return { ...described, publicKey: backingKey.publicKey.export({ format: 'der', type: 'spki' }) };
};
