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
 * How the material of a key may be wrapped. Throws UnsupportedOperationException for what AWS no longer has or has in
 * China only, and for what no material of the key's spec fits into. Source: AWS KMS API Reference
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

/**
 * RSA private keys are longer than any OAEP takes, and one of P-521 is longer than that of the shortest wrapping key.
 */
function fits({ wrappingAlgorithm, wrappingKeySpec }: Wrapping, keySpec: KmsKey['keySpec']): boolean {
  if (wrappingAlgorithm.startsWith('RSA_AES_KEY_WRAP_')) return true;
  return keySpecs[keySpec].kind !== 'rsa' && !(keySpec === 'ECC_NIST_P521' && wrappingKeySpec === 'RSA_2048');
}

function unsupported(message: string): KmsException {
  return new KmsException('UnsupportedOperationException', message);
}
