import type { z } from 'zod';
import type { ExceptionCode } from '../errors/exceptions.ts';

/**
 * The resource that a request needs permission for: a KMS key named by an input field, or the caller's whole account.
 */
export type Access = 'key' | 'account';

/** `key`: key id or key ARN. On management operations AWS refuses alias names and alias ARNs. */
export type KeyIdentifiers = 'key' | 'key-or-alias';

/** A KMS key that a request names, and the permission that the caller needs on it. */
export interface KeyReference {
  /** The member of the input that names it. */
  readonly member: string;
  readonly identifiers: KeyIdentifiers;
  /** IAM action, e.g. `kms:ReEncryptFrom`. */
  readonly action: string;
  /** The member whose ciphertext names the key when `member` is absent. */
  readonly ciphertext?: string;
}

/** An operation of the public API. Routing, gRPC, kms.proto, docs, audit and conformance all derive from this. */
export interface Operation<
  Name extends string = string,
  A extends Access = Access,
  Input extends z.ZodObject = z.ZodObject,
  Output extends z.ZodObject | null = z.ZodObject | null,
> {
  readonly name: Name;
  readonly summary: string;
  readonly access: A;
  /** The family under which it is documented and filed. */
  readonly family: string;
  readonly input: Input;
  /** null: the operation returns no body at all. */
  readonly output: Output;
  /** The exceptions it may throw besides the common ones. */
  readonly errors: readonly ExceptionCode[];
  /** The identifiers that `KeyId` accepts, if only `KeyId` names the key. */
  readonly keyId?: KeyIdentifiers;
  /**
   * Instead of `keyId`: for keys named by another member, with their own action, or more than one. The first is the
   * handler's `call.key`.
   */
  readonly keys?: readonly KeyReference[];
  /** False if it changes anything; goes into the audit record. */
  readonly readOnly: boolean;
}

export type InputOf<O extends Operation> = z.output<O['input']>;
export type OutputOf<O extends Operation> = O['output'] extends z.ZodObject ? z.input<O['output']> : void;

export function defineOperation<
  const Name extends string,
  const A extends Access,
  Input extends z.ZodObject,
  Output extends z.ZodObject | null,
>(operation: Operation<Name, A, Input, Output>): Operation<Name, A, Input, Output> {
  return Object.freeze(operation);
}

/**
 * The keys that a request of the operation names; none for an `account` operation. Each must be authorized for its own
 * action.
 */
export function keyReferencesOf(operation: Operation): readonly KeyReference[] {
  if (operation.keys !== undefined) return operation.keys;
  if (operation.keyId === undefined) return [];
  return [{ member: 'KeyId', identifiers: operation.keyId, action: actionOf(operation) }];
}

/** The IAM action of an operation with only one. */
export function actionOf(operation: Operation): string {
  return `kms:${operation.name}`;
}

/** The errors that every cryptographic use of a KMS key may return. */
export const keyUseErrors = [
  'NotFoundException',
  'DisabledException',
  'KeyUnavailableException',
  'InvalidKeyUsageException',
  'InvalidGrantTokenException',
  'KMSInvalidStateException',
  'DryRunOperationException',
] as const satisfies readonly ExceptionCode[];
