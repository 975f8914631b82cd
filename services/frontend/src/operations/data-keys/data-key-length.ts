import { KmsException } from '@keyfleet/shared/errors/exceptions';

const lengths = { AES_256: 32, AES_128: 16 } as const;

export interface DataKeySize {
  readonly KeySpec?: keyof typeof lengths | undefined;
  readonly NumberOfBytes?: number | undefined;
}

/** In bytes. Throws ValidationException unless exactly one of the two is given. */
export function dataKeyLengthOf({ KeySpec, NumberOfBytes }: DataKeySize): number {
  if ((KeySpec === undefined) === (NumberOfBytes === undefined)) {
    throw new KmsException('ValidationException', 'Please specify either number of bytes or key spec.');
  }
  return KeySpec === undefined ? NumberOfBytes! : lengths[KeySpec];
}
