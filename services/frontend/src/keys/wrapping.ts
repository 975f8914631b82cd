import {
  type WrappingAlgorithm,
  wrappingAlgorithms,
  type WrappingKeySpec,
  wrappingKeySpecs,
} from '@keyfleet/shared/algorithms';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { keySpecs } from '@keyfleet/shared/key-specs';
import type { KmsKey } from './kms-key.ts';

export interface WrappingInput {
  readonly WrappingAlgorithm: string;
  readonly WrappingKeySpec: string;
}

interface Wrapping {
  readonly wrappingAlgorithm: WrappingAlgorithm;
  readonly wrappingKeySpec: WrappingKeySpec;
}

/**
 * How a key's material may be wrapped. Throws UnsupportedOperationException for algorithms that AWS no longer has or
 * has only in China, and for those that no material of the key's spec fits. Source: AWS KMS API Reference
 * "GetParametersForImport"; the texts are ours.
 */
export function wrappingOf(input: WrappingInput, { keySpec }: Pick<KmsKey, 'keySpec'>): Wrapping {
  const wrappingAlgorithm = wrappingAlgorithms.find((name) => name === input.WrappingAlgorithm);
  const wrappingKeySpec = wrappingKeySpecs.find((name) => name === input.WrappingKeySpec);
  if (!wrappingAlgorithm || !wrappingKeySpec) {
    const { WrappingAlgorithm: algorithm, WrappingKeySpec: spec } = input;
    throw unsupported(`Wrapping algorithm ${algorithm} with wrapping key spec ${spec} is not supported.`);
  }
  const wrapping = { wrappingAlgorithm, wrappingKeySpec };
  if (fits(wrapping, keySpec)) return wrapping;
  const how = `Wrapping algorithm ${wrappingAlgorithm} with wrapping key spec ${wrappingKeySpec}`;
  throw unsupported(`${how} is not supported for key material of key spec ${keySpec}.`);
}

/** RSA private keys are longer than any OAEP takes, and a P-521 key is longer than the shortest wrapping key takes. */
function fits({ wrappingAlgorithm, wrappingKeySpec }: Wrapping, keySpec: KmsKey['keySpec']): boolean {
  if (wrappingAlgorithm.startsWith('RSA_AES_KEY_WRAP_')) return true;
  return keySpecs[keySpec].kind !== 'rsa' && !(keySpec === 'ECC_NIST_P521' && wrappingKeySpec === 'RSA_2048');
}

function unsupported(message: string): KmsException {
  return new KmsException('UnsupportedOperationException', message);
}
