import { canonicalPath } from '@keyfleet/shared/sigv4/canonical-request';
import { authorizationOf, type Signer } from '@keyfleet/shared/sigv4/sign-request';
import { amzDateOf, deriveSigningKey, newSigningSecret } from '@keyfleet/shared/sigv4/signature';
import { hash } from 'node:crypto';

export interface Target {
  readonly host: string;
  readonly port: number;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/**
 * The bytes of signed requests. A signature lasts for its second, so each body is signed once a second and sent as often as
 * it is answered: the generator costs little of the machine that it measures, and the server verifies every request all the same.
 */
export class SignedRequests {
  readonly #target: Target;
  readonly #operation: string;
  readonly #bodies: readonly string[];
  readonly #prepared: (Buffer | undefined)[] = [];
  #second = 0;
  #next = 0;
  #signer: Signer | undefined;

  constructor(target: Target, operation: string, bodies: readonly string[]) {
    this.#target = target;
    this.#operation = operation;
    this.#bodies = bodies;
  }

  next(): Buffer {
    const second = Math.floor(Date.now() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#prepared.length = 0;
    }
    const index = this.#next++ % this.#bodies.length;
    return (this.#prepared[index] ??= this.#sign(this.#bodies[index] ?? '{}'));
  }

  #sign(body: string): Buffer {
    const { host, port } = this.#target;
    const amzDate = amzDateOf(this.#second * 1000);
    const payload = Buffer.from(body);
    const headers = new Map([
      ['content-type', 'application/x-amz-json-1.1'],
      ['host', `${host}:${port}`],
      ['x-amz-date', amzDate],
      ['x-amz-target', `TrentService.${this.#operation}`],
    ]);
    const payloadHash = hash('sha256', payload, 'hex');
    const request = { method: 'POST', path: canonicalPath('/'), query: '', headers, payloadHash };
    const authorization = authorizationOf(request, amzDate, this.#signerOn(amzDate.slice(0, 8)));
    const lines = [...headers].map(([name, value]) => `${name}: ${value}\r\n`).join('');
    const head = `POST / HTTP/1.1\r\n${lines}authorization: ${authorization}\r\ncontent-length: ${payload.length}\r\n\r\n`;
    return Buffer.concat([Buffer.from(head), payload]);
  }

  #signerOn(date: string): Signer {
    if (this.#signer?.scope.date === date) return this.#signer;
    const { region, accessKeyId, secretAccessKey } = this.#target;
    const scope = { date, region, service: 'kms' };
    this.#signer = { accessKeyId, scope, signingKey: deriveSigningKey(newSigningSecret(secretAccessKey), scope) };
    return this.#signer;
  }
}
