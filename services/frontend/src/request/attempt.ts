import type { Operation } from '@keyfleet/shared/api/operation';
import { type BlobShape, structureOf } from '@keyfleet/shared/api/shape';
import type { KmsException } from '@keyfleet/shared/errors/exceptions';
import type { SignableRequest } from '@keyfleet/shared/sigv4';
import type { QueryOperation } from '../identities/query-operation.ts';
import type { KmsKey } from '../keys/kms-key.ts';
import type { Call } from '../operations/handler.ts';
import type { LastKnown } from '../store/last-known.ts';
import type { Authenticated, SignedFor } from './authenticate.ts';

/** What every edge knows of a request, whatever carried it. */
export interface EdgeRequest extends SignableRequest {
  readonly requestId: string;
  readonly sourceIpAddress: string;
  /** Whether it came over TLS. */
  readonly isSecure: boolean;
  /** Told when the signature is found genuine. */
  readonly onGenuine: () => void;
}

export type Input = Readonly<Record<string, unknown>>;

/** What an edge wants done for a request, and how its wire reads and writes it. */
export interface Wanted<Answer> {
  /** For the audit record and telemetry. */
  readonly name: string;
  readonly service: 'kms' | 'iam' | 'sts';
  /** Of KMS. */
  readonly operation: Operation | undefined;
  /** Of IAM and STS; undefined for one that they do not have. */
  readonly query?: QueryOperation | undefined;
  /** Undefined where nobody signs: what performs it asks for another proof of who calls. */
  readonly signedFor: SignedFor | undefined;
  /**
   * Called for the authenticated only; throws KmsException for what is not a valid input. A promise where it has yet to
   * come.
   */
  readonly parse: () => Input | Promise<Input>;
  /** What does it, unless it is an operation of KMS. */
  readonly perform?: (attempt: Attempt) => Promise<unknown>;
  readonly format: (output: unknown, caller: Authenticated['caller']) => Answer;
}

/** A request on its way. Each step adds what it found out, and the audit record tells all of it. */
export interface Attempt {
  readonly name: string;
  readonly service: Wanted<unknown>['service'];
  readonly operation: Operation | undefined;
  readonly query: QueryOperation | undefined;
  readonly request: Pick<EdgeRequest, 'requestId' | 'sourceIpAddress'>;
  readonly userAgent: string;
  /** Once the signature is found genuine. */
  call: Call | undefined;
  /** Once it is parsed and valid. */
  input: Input | undefined;
  /** The keys that the caller was admitted to, in the order of the registry; also when the request then fails. */
  readonly keys: KmsKey[];
  /** Where keys are looked for while the store may be away; undefined: in the store. */
  lastKnown: LastKnown | undefined;
  output: unknown;
  /** Why it came to nothing. */
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
    output: undefined,
    exception: undefined,
  };
}

/**
 * Overwrites what a request brought and was given: every blob of its input, which nobody else has, and what is secret
 * in its output. The rest of an output may be kept elsewhere, as a key's public key is.
 */
export function overwriteSecrets({ operation, input, output }: Attempt): void {
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
