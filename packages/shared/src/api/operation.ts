import type { z } from 'zod';
import type { ExceptionCode } from '../errors/exceptions.ts';

/** What a request must be allowed on: one KMS key, named by a field of its input, or the caller's account as a whole. */
export type Access = 'key' | 'account';

/** An operation of the public API. Routing, gRPC, kms.proto, docs, audit and conformance derive from this and nothing else. */
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
  /** Which identifiers `KeyId` takes; AWS refuses alias names on management operations. */
  readonly keyId?: 'key' | 'key-or-alias';
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
