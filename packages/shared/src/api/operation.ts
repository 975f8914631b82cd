import type { z } from 'zod';
import type { ExceptionCode } from '../errors/exceptions.ts';

/**
 * What a request must be allowed on: one KMS key, named by a field of its input, or the caller's account as a whole.
 */
export type Access = 'key' | 'account';

/** `key`: key id or key ARN. AWS refuses alias names and alias ARNs on management operations. */
export type KeyIdentifiers = 'key' | 'key-or-alias';

/** A KMS key that a request names, and what the caller must be allowed to do with it. */
export interface KeyReference {
  /** The member of the input that names it. */
  readonly member: string;
  readonly identifiers: KeyIdentifiers;
  /** IAM action, e.g. `kms:ReEncryptFrom`. */
  readonly action: string;
  /** The member whose ciphertext names the key when `member` is absent. */
  readonly ciphertext?: string;
}

/**
 * An operation of the public API. Routing, gRPC, kms.proto, docs, audit and conformance derive from this and nothing
 * else.
 */
export interface Operation<
  Name extends string = string,
  A extends Access = Access,
  Input extends z.ZodObject = z.ZodObject,
  Output extends z.ZodObject | null = z.ZodObject | null,
> {
  readonly name: Name;
  readonly summary: string;
  readonly access: A;
  /** The family it is documented and filed under. */
  readonly family: string;
  readonly input: Input;
  /** null: the operation answers with no body at all. */
  readonly output: Output;
  /** What it may throw besides the common errors. */
  readonly errors: readonly ExceptionCode[];
  /** Which identifiers `KeyId` takes, where `KeyId` alone names the key. */
  readonly keyId?: KeyIdentifiers;
  /**
   * Instead of `keyId`: keys that another member names, that have their own action, or more than one. The first is the
   * handler's `call.key`.
   */
  readonly keys?: readonly KeyReference[];
  /** False for what changes something; goes into the audit record. */
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

/** The keys a request of the operation names; none for an `account` operation. Authorize each for its action. */
export function keyReferencesOf(operation: Operation): readonly KeyReference[] {
  if (operation.keys !== undefined) return operation.keys;
  if (operation.keyId === undefined) return [];
  return [{ member: 'KeyId', identifiers: operation.keyId, action: actionOf(operation) }];
}

/** The IAM action of an operation that has only one. */
export function actionOf(operation: Operation): string {
  return `kms:${operation.name}`;
}

/** What every cryptographic use of a KMS key may answer. */
export const keyUseErrors = [
  'NotFoundException',
  'DisabledException',
  'KeyUnavailableException',
  'InvalidKeyUsageException',
  'InvalidGrantTokenException',
  'KMSInvalidStateException',
  'DryRunOperationException',
] as const satisfies readonly ExceptionCode[];
