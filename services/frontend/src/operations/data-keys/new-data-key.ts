import type { InputOf as CommandInput } from '@keyfleet/shared/hsm/commands';
import { commandKeyOf } from '../../keys/backing-keys.ts';
import { contextOf } from '../cipher/encryption-context.ts';
import type { KeyCall } from '../handler.ts';

/** What every command for a data key says of the key and context that it is encrypted under. */
export function wrappingOf(
  { key }: KeyCall,
  context: Readonly<Record<string, string>> | undefined,
): Pick<CommandInput<'GenerateDataKey'>, 'keyId' | 'account' | 'token' | 'encryptionContext'> {
  const encryptionContext = contextOf(context, 'SYMMETRIC_DEFAULT');
  return { ...commandKeyOf(key), encryptionContext };
}
