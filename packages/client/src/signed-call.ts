import { hash } from 'node:crypto';
import { type Client, type Deadline, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import '@keyfleet/shared/grpc/answers';
import {
  amzDateOf,
  authorizationOf,
  canonicalPath,
  deriveSigningKey,
  newSigningSecret,
  type Signer,
} from '@keyfleet/shared/sigv4';

/** In the form of AWS SDKs and their credential providers. */
export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}

export interface SigningOptions {
  /** A provider is called before every call; it caches and renews its credentials itself. */
  readonly credentials: Credentials | (() => Promise<Credentials>);
  readonly region: string;
  /** The `:authority` that the server sees. */
  readonly host: string;
}

/** A timer that is longer ends at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Sends the bytes of a message to a method, e.g. `/keyfleet.kms.v1.Kms/Encrypt`; throws grpc-js's ServiceError. */
export type SignedCall = (path: string, message: Buffer, deadline: Deadline) => Promise<Buffer>;

/**
 * Signs unary calls with Signature Version 4 in their metadata, by the rule of docs/grpc.md: POST to the method's path,
 * over host, date and the hash of the message's bytes.
 */
export function newSignedCall(client: Client, options: SigningOptions): SignedCall {
  const signerAt = newSignerCache(options.region);
  return async (path, message, deadline) => {
    const metadata = new Metadata();
    try {
      // Before the call is made: of one that ends before it is started, grpc-js never says that it ended.
      const credentials = await credentialsBy(deadline, options);
      signMetadata(metadata, { path, host: options.host, message, credentials, signerAt });
    } catch (error) {
      throw unsigned(error instanceof Error ? error.message : String(error));
    }
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    client.makeUnaryRequest(path, asBytes, asBytes, message, metadata, { deadline }, (error, answer) =>
      error === null ? resolve(answer!) : reject(error),
    );
    return promise;
  };
}

function asBytes(bytes: Buffer): Buffer {
  return bytes;
}

async function credentialsBy(deadline: Deadline, { credentials }: SigningOptions): Promise<Credentials> {
  if (typeof credentials !== 'function') return credentials;
  const { promise: late, reject } = Promise.withResolvers<never>();
  const left = Math.min(Number(deadline) - Date.now(), MAX_TIMER_MS);
  const timer = setTimeout(() => reject(new Error('its deadline came before its credentials')), left);
  // A provider may throw instead of rejecting.
  return Promise.race([Promise.try(credentials), late]).finally(() => clearTimeout(timer));
}

function unsigned(reason: string): ServiceError {
  const code = status.UNAUTHENTICATED;
  const details = `the call could not be signed: ${reason}`;
  return Object.assign(new Error(`${code} UNAUTHENTICATED: ${details}`), { code, details, metadata: new Metadata() });
}

interface Signing {
  readonly path: string;
  readonly host: string;
  readonly message: Buffer;
  readonly credentials: Credentials;
  readonly signerAt: (credentials: Credentials, date: string) => Signer;
}

function signMetadata(metadata: Metadata, { path, host, message, credentials, signerAt }: Signing): void {
  const amzDate = amzDateOf(Date.now());
  const payloadHash = hash('sha256', message, 'hex');
  const headers = new Map([
    ['host', host],
    ['x-amz-content-sha256', payloadHash],
    ['x-amz-date', amzDate],
  ]);
  if (credentials.sessionToken !== undefined) headers.set('x-amz-security-token', credentials.sessionToken);
  const request = { method: 'POST', path: canonicalPath(path), query: '', headers, payloadHash };
  const authorization = authorizationOf(request, amzDate, signerAt(credentials, amzDate.slice(0, 8)));
  for (const [name, value] of headers) if (name !== 'host') metadata.set(name, value);
  metadata.set('authorization', authorization);
}

/** Deriving a signing key costs four HMACs, and the key stays the same for a day. */
function newSignerCache(region: string): Signing['signerAt'] {
  let current: { readonly credentials: Credentials; readonly signer: Signer } | undefined;
  return (credentials, date) => {
    const isCurrent =
      current?.signer.scope.date === date &&
      current.credentials.accessKeyId === credentials.accessKeyId &&
      current.credentials.secretAccessKey === credentials.secretAccessKey;
    if (current !== undefined && isCurrent) return current.signer;
    const scope = { date, region, service: 'kms' };
    const signingKey = deriveSigningKey(newSigningSecret(credentials.secretAccessKey), scope);
    const signer = { accessKeyId: credentials.accessKeyId, scope, signingKey };
    current = { credentials, signer };
    return signer;
  };
}
