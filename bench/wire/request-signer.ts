import {
  amzDateOf,
  authorizationOf,
  canonicalPath,
  deriveSigningKey,
  newSigningSecret,
  type Signer,
} from '@keyfleet/shared/sigv4';
import { hash } from 'node:crypto';
import { authorityOf, type Endpoint, type ReadyRequest, type Signing, type WireRequest } from './endpoint.ts';

/** Makes requests ready to be sent at a second, signed where the endpoint wants it. */
export class RequestSigner {
  readonly #endpoint: Endpoint;
  #signer: Signer | undefined;

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
  }

  /** Whether what it makes lasts for its second only. */
  get signs(): boolean {
    return this.#endpoint.signing !== undefined;
  }

  /** `second`: of the Unix epoch. */
  sign(request: WireRequest, second: number): ReadyRequest {
    const { signing } = this.#endpoint;
    const { method, path } = request;
    const body = typeof request.body === 'string' ? Buffer.from(request.body) : Buffer.from(request.body);
    const headers = new Map([['host', authorityOf(this.#endpoint)], ...Object.entries(request.headers)]);
    if (signing !== undefined) {
      const amzDate = amzDateOf(second * 1000);
      headers.set('x-amz-date', amzDate);
      if (signing.sessionToken !== undefined) headers.set('x-amz-security-token', signing.sessionToken);
      const signable = {
        method,
        path: canonicalPath(path),
        query: '',
        headers,
        payloadHash: hash('sha256', body, 'hex'),
      };
      headers.set('authorization', authorizationOf(signable, amzDate, this.#signerOn(amzDate.slice(0, 8), signing)));
    }
    return { method, path, headers: [...headers], body };
  }

  #signerOn(date: string, { region, accessKeyId, secretAccessKey }: Signing): Signer {
    if (this.#signer?.scope.date === date) return this.#signer;
    const scope = { date, region, service: 'kms' };
    this.#signer = { accessKeyId, scope, signingKey: deriveSigningKey(newSigningSecret(secretAccessKey), scope) };
    return this.#signer;
  }
}
