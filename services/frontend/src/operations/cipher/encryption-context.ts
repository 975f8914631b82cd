import { KmsException } from '@keyfleet/shared/errors/exceptions';

const none: Readonly<Record<string, string>> = Object.freeze({});

/** The context to bind a ciphertext to. Throws ValidationException for one that the algorithm has no place for. */
export function contextOf(
  context: Readonly<Record<string, string>> | undefined,
  algorithm: string,
): Record<string, string> {
  if (context === undefined) return none;
  if (algorithm !== 'SYMMETRIC_DEFAULT' && Object.keys(context).length > 0) {
    throw new KmsException(
      'ValidationException',
      'EncryptionContext is only supported with the SYMMETRIC_DEFAULT encryption algorithm.',
    );
  }
  return context;
}
