import { hash } from 'node:crypto';
import { InterceptingCall, type Interceptor, Metadata, status } from '@grpc/grpc-js';
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

/**
 * Signs unary calls with Signature Version 4 in their metadata, by the rule of docs/grpc.md: POST to the method's path,
 * over host, date and the hash of the message's bytes. Messages must already be bytes: the method's serializer is the
 * identity.
 */
export function signingInterceptor(options: SigningOptions): Interceptor {
  const signerAt = newSignerCache(options.region);
  return (callOptions, nextCall) => {
    const { path } = callOptions.method_definition;
    let start: ((message: Buffer) => Promise<boolean>) | undefined;
    return new InterceptingCall(nextCall(callOptions), {
      // The metadata is sent first but covers the message, so starting waits for the message.
      start(metadata, listener, next) {
        start = async (message) => {
          try {
            const credentials = await credentialsOf(options);
            signMetadata(metadata, { path, host: options.host, message, credentials, signerAt });
            next(metadata, listener);
            return true;
          } catch (error) {
            const details = `the call could not be signed: ${error instanceof Error ? error.message : String(error)}`;
            listener.onReceiveStatus({ code: status.UNAUTHENTICATED, details, metadata: new Metadata() });
            return false;
          }
        };
      },
      sendMessage(message: Buffer, next) {
        void sendOnce(start?.(message), () => next(message));
      },
    });
  };
}

async function sendOnce(started: Promise<boolean> | undefined, send: () => void): Promise<void> {
  if ((await started) === true) send();
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

function credentialsOf({ credentials }: SigningOptions): Credentials | Promise<Credentials> {
  return typeof credentials === 'function' ? credentials() : credentials;
}
