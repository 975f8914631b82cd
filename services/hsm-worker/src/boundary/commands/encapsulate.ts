import { encapsulateUnder } from '../crypto/ml-kem.ts';
import { backingKeyOf } from './backing-key-of.ts';
import type { CommandHandler } from './command.ts';

export const encapsulate: CommandHandler<'Encapsulate'> = (input, context) =>
  encapsulateUnder(backingKeyOf(input, 'ENCAPSULATE_DECAPSULATE', context).publicKey);
