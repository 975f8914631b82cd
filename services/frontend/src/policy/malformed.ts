import { KmsException } from '@keyfleet/shared/errors/exceptions';

export function malformed(message: string, cause?: unknown): KmsException {
  return new KmsException('MalformedPolicyDocumentException', message, { cause });
}
