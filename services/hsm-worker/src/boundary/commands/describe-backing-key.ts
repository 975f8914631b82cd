import { isSecretKey } from '../keys/backing-key.ts';
import { isOfSpec } from '../keys/key-spec-of.ts';
import { openedKeyOf } from './backing-key-of.ts';
import { type CommandHandler, RefusedError } from './command.ts';
import { isPair } from './pairwise.ts';

export const describeBackingKey: CommandHandler<'DescribeBackingKey'> = (input, context) => {
  const backingKey = openedKeyOf(input, context);
  const { materialId, keySpec, keyUsage, key } = backingKey;
  if (!isOfSpec(key, keySpec)) throw new RefusedError('cannot-open');
  if (isSecretKey(keySpec)) return { materialId, keySpec, keyUsage };
  return isPair(backingKey, context).then((belongsTogether) => {
    if (!belongsTogether) throw new RefusedError('cannot-open');
    const publicKey = backingKey.publicKey.export({ format: 'der', type: 'spki' });
    return { materialId, keySpec, keyUsage, publicKey };
  });
};
