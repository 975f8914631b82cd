import { KmsException } from '@keyfleet/shared/errors/exceptions';
import type { KmsKey } from '../keys/kms-key.ts';
import { pairsOf } from './constraints.ts';
import type { GrantConstraints } from './grant.ts';

type Context = Readonly<Record<string, string>>;

/** As in a request. */
export type GivenConstraints =
  | {
      readonly EncryptionContextEquals?: Context | undefined;
      readonly EncryptionContextSubset?: Context | undefined;
      readonly SourceArn?: string | undefined;
    }
  | undefined;

/** AWS's limits for one constraint: number of pairs, and characters in a value. */
const MAX_PAIRS = 8;
const MAX_VALUE = 384;

export function constraintsOf(given: GivenConstraints = {}): GrantConstraints {
  const { EncryptionContextEquals: equals, EncryptionContextSubset: subset, SourceArn: sourceArn } = given;
  return {
    ...(equals !== undefined && { encryptionContextEquals: pairsOf(equals) }),
    ...(subset !== undefined && { encryptionContextSubset: pairsOf(subset) }),
    ...(sourceArn !== undefined && { sourceArn }),
  };
}

export function shownConstraints({ encryptionContextEquals, encryptionContextSubset, sourceArn }: GrantConstraints) {
  return {
    ...(encryptionContextEquals && { EncryptionContextEquals: Object.fromEntries(encryptionContextEquals) }),
    ...(encryptionContextSubset && { EncryptionContextSubset: Object.fromEntries(encryptionContextSubset) }),
    ...(sourceArn !== undefined && { SourceArn: sourceArn }),
  };
}

/**
 * Throws ValidationException for two constraints of the context, one that is too large, and one that the key's
 * operations could never meet.
 */
export function assertConstraints({ keySpec }: Pick<KmsKey, 'keySpec'>, given: GivenConstraints = {}): void {
  const contexts = [given.EncryptionContextEquals, given.EncryptionContextSubset].filter((one) => one !== undefined);
  if (contexts.length > 1) throw invalid('More than one constraint supplied');
  if (contexts.length > 0 && keySpec !== 'SYMMETRIC_DEFAULT') {
    throw invalid('Encryption context constraints are not supported for asymmetric and HMAC keys.');
  }
  for (const context of contexts) {
    const values = Object.values(context);
    if (values.length > MAX_PAIRS)
      throw invalid(`A grant constraint has at most ${MAX_PAIRS} encryption context pairs.`);
    if (values.some((value) => value.length > MAX_VALUE)) {
      throw invalid(`An encryption context value in a grant constraint has at most ${MAX_VALUE} characters.`);
    }
  }
}

function invalid(message: string): KmsException {
  return new KmsException('ValidationException', message);
}
