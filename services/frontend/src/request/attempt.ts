import type { Operation } from '@keyfleet/shared/api/operation';
import { type BlobShape, structureOf } from '@keyfleet/shared/api/shape';
import type { KmsException } from '@keyfleet/shared/errors/exceptions';
import type { SignableRequest } from '@keyfleet/shared/sigv4';
import type { Attestation } from '../attestation/attestations.ts';
import type { QueryOperation } from '../identities/query-operation.ts';
import type { KmsKey } from '../keys/kms-key.ts';
import type { Call } from '../operations/handler.ts';
import type { LastKnown } from '../store/last-known.ts';
import type { Authenticated, SignedFor } from './authenticate.ts';

/** What each edge knows about a request, whatever the transport. */
export interface EdgeRequest extends SignableRequest {
  readonly requestId: string;
  readonly sourceIpAddress: string;
  /** Whether it arrived over TLS. */
  readonly isSecure: boolean;
  /** Called once the signature is verified. */
  readonly onGenuine: () => void;
}

export type Input = Readonly<Record<string, unknown>>;

/** What an edge asks for on a request's behalf, and how its protocol reads the input and writes the answer. */
export interface Wanted<Answer> {
  /** For the audit record and telemetry. */
  readonly name: string;
  readonly service: 'kms' | 'iam' | 'sts';
  /** The KMS operation, if it is one. */
  readonly operation: Operation | undefined;
  /** The IAM or STS operation; undefined if they have none of that name. */
  readonly query?: QueryOperation | undefined;
  /** Undefined for an operation that is not signed: whatever performs it asks for another proof of identity. */
  readonly signedFor: SignedFor | undefined;
  /**
   * Called only after authentication. Throws KmsException for an invalid input. A promise while the input is still
   * arriving.
   */
  readonly parse: () => Input | Promise<Input>;
  /** Performs it, unless it is a KMS operation. */
  readonly perform?: (attempt: Attempt) => Promise<unknown>;
  readonly format: (output: unknown, caller: Authenticated['caller']) => Answer;
}

/** A request in progress. Each step adds its findings, and the audit record contains all of them. */
export interface Attempt {
  readonly name: string;
  readonly service: Wanted<unknown>['service'];
  readonly operation: Operation | undefined;
  readonly query: QueryOperation | undefined;
  readonly request: Pick<EdgeRequest, 'requestId' | 'sourceIpAddress'>;
  readonly userAgent: string;
  /** Set once the signature is verified. */
  call: Call | undefined;
  /** Set once parsed and valid. */
  input: Input | undefined;
  /** The keys that the caller was authorized for, in the registry's order, even if the request then fails. */
  readonly keys: KmsKey[];
  /** Where to find keys while the store may be away; undefined: in the store. */
  lastKnown: LastKnown | undefined;
  /** What the document of its Recipient proves. */
  attestation: Attestation | undefined;
  /** The grant that it ends, once found and the caller was authorized. */
  grantId: string | undefined;
  output: unknown;
  /** Why it failed. */
  exception: KmsException | undefined;
}

export function newAttempt(
  request: Pick<EdgeRequest, 'requestId' | 'sourceIpAddress' | 'headers'>,
  { name, service, operation, query }: Pick<Wanted<unknown>, 'name' | 'service' | 'operation' | 'query'>,
): Attempt {
  return {
    name,
    service,
    operation,
    query,
    request,
    userAgent: request.headers.get('user-agent') ?? '',
    call: undefined,
    input: undefined,
    keys: [],
    lastKnown: undefined,
    attestation: undefined,
    grantId: undefined,
    output: undefined,
    exception: undefined,
  };
}

/**
 * Overwrites every blob of a request's input, which nothing else references, and the secrets in its output. Other parts
 * of an output, such as a public key, may be cached elsewhere.
 */
export function overwriteSecrets({ operation, input, output }: Pick<Attempt, 'operation' | 'input' | 'output'>): void {
  if (operation === undefined) return;
  const names = blobsOf(operation);
  overwrite(input, names.input);
  overwrite(output, names.output);
}

function overwrite(values: unknown, names: readonly string[]): void {
  if (values === undefined) return;
  for (const name of names) (values as Record<string, Uint8Array | undefined>)[name]?.fill(0);
}

interface Names {
  readonly input: readonly string[];
  readonly output: readonly string[];
}

const known = new Map<Operation, Names>();

function blobsOf(operation: Operation): Names {
  const found = known.get(operation);
  if (found) return found;
  const names = {
    input: namesOf(operation.input.shape, () => true),
    output: namesOf(operation.output?.shape ?? {}, ({ sensitive }) => sensitive === true),
  };
  known.set(operation, names);
  return names;
}

function namesOf(members: Parameters<typeof structureOf>[0], isMeant: (shape: BlobShape) => boolean): string[] {
  return structureOf(members).members.flatMap(({ name, shape }) =>
    shape.kind === 'blob' && isMeant(shape) ? [name] : [],
  );
}
