import { createHash } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { once } from 'node:events';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import {
  ALGORITHM,
  amzDateOf,
  authorizationOf,
  canonicalRequest,
  deriveSigningKey,
  newSigningSecret,
  type SignableRequest,
  signatureOf,
  stringToSign,
} from '@keyfleet/shared/sigv4';
import { inject } from 'vitest';
import type { AwsCredentials } from '../../../tools/aws-files.ts';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

export interface CallOptions {
  readonly credentials?: AwsCredentials;
  readonly region?: string;
  readonly service?: 'kms' | 'sts';
  readonly headers?: Record<string, string>;
  /** Sent, and not under the signature. */
  readonly unsignedHeaders?: Record<string, string>;
  /** As in the request line. */
  readonly target?: string;
  readonly method?: string;
}

/** One call of KMS as its bytes: nothing between the test and the wire mends or hides anything. */
export function callKms(operation: string, body: string, options: CallOptions = {}): Promise<Answer> {
  const headers = { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': `TrentService.${operation}` };
  return signedCall(body, { ...options, headers: { ...headers, ...options.headers } });
}

export function signedCall(body: string, options: CallOptions = {}): Promise<Answer> {
  const { method = 'POST', target = '/', region = 'us-east-1', service = 'kms' } = options;
  const amzDate = amzDateOf(Date.now());
  const headers = new Map(Object.entries({ host: hostOf(), 'x-amz-date': amzDate, ...options.headers }));
  const query = target.split('?')[1] ?? '';
  const signable: SignableRequest = { method, path: '/', query, headers, payloadHash: sha256(body) };
  const authorization = authorizationOf(signable, amzDate, signerOf(options.credentials, { amzDate, region, service }));
  return send({
    method,
    target,
    body,
    headers: { ...Object.fromEntries(headers), ...options.unsignedHeaders, authorization },
  });
}

/** A URL that is its own proof: `headers` are signed too, and must be sent with it. */
export function presign(query: string, options: CallOptions & { readonly body?: string; readonly at?: number } = {}) {
  const { method = 'GET', region = 'us-east-1', service = 'sts', headers = {}, body = '' } = options;
  const amzDate = amzDateOf(options.at ?? Date.now());
  const { scope, signingKey, accessKeyId } = signerOf(options.credentials, { amzDate, region, service });
  const signed = new Map(Object.entries({ host: hostOf(), ...headers }));
  const signedHeaders = [...signed.keys()].toSorted().join(';');
  const credential = `${accessKeyId}/${scope.date}/${region}/${service}/aws4_request`;
  const parameters = new URLSearchParams({
    'X-Amz-Algorithm': ALGORITHM,
    'X-Amz-Credential': credential,
    'X-Amz-Date': amzDate,
    'X-Amz-Expires': '60',
    'X-Amz-SignedHeaders': signedHeaders,
  });
  const all = `${query}&${parameters.toString()}`;
  const signable = { method, path: '/', query: all, headers: signed, payloadHash: sha256(body) };
  const canonical = canonicalRequest(signable, signedHeaders)!;
  return `/?${all}&X-Amz-Signature=${signatureOf(signingKey, stringToSign(canonical, amzDate, scope))}`;
}

interface Sent {
  readonly method: string;
  readonly target: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

export async function send({ method, target, headers = {}, body = '' }: Sent): Promise<Answer> {
  const { hostname, port } = new URL(inject('cluster').endpoint);
  const request = httpRequest({ hostname, port, method, path: target, headers, agent: false });
  request.end(body);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return { status: response.statusCode!, headers: response.headers, text: (await buffer(response)).toString() };
}

export function hostOf(): string {
  return new URL(inject('cluster').endpoint).host;
}

function signerOf(
  credentials: AwsCredentials = inject('cluster').credentials,
  { amzDate, region, service }: { amzDate: string; region: string; service: string },
) {
  const scope = { date: amzDate.slice(0, 8), region, service };
  const signingKey = deriveSigningKey(newSigningSecret(credentials.secretAccessKey), scope);
  return { accessKeyId: credentials.accessKeyId, scope, signingKey };
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
