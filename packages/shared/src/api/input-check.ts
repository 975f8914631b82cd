import { KmsException } from '../errors/exceptions.ts';
import { isAlias } from '../ids.ts';
import { compileCheck } from './check.ts';
import { keyReferencesOf, type Operation } from './operation.ts';
import { structureOf } from './shape.ts';

/**
 * Compiles the checks on a request alone, before its key is looked up. The result first throws InvalidArnException for
 * an alias where the operation takes only keys, as AWS does; then ValidationException with every broken constraint.
 */
export function compileInputCheck(operation: Operation): (input: object) => void {
  const check = compileCheck(structureOf(operation.input.shape));
  if (!takesKeysOnly(operation)) return check;
  return (input) => {
    const { KeyId } = input as { KeyId?: string };
    if (KeyId !== undefined && isAlias(KeyId)) {
      throw new KmsException('InvalidArnException', 'Key Aliases are not supported for this operation.');
    }
    check(input);
  };
}

/** Includes operations where `KeyId` only narrows a list or a grant. */
function takesKeysOnly(operation: Operation): boolean {
  const reference = keyReferencesOf(operation).find(({ member }) => member === 'KeyId');
  return 'KeyId' in operation.input.shape && reference?.identifiers !== 'key-or-alias';
}
