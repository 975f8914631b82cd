import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import type { XksAnswer, XksCall } from '@keyfleet/frontend/xks/hosts';

const TAG = 16;

interface Body {
  readonly requestMetadata: Readonly<Record<string, string>>;
  readonly [member: string]: unknown;
}

/**
 * A proxy of an external key store as somebody else would write it, from AWS's specification alone: it shares no code
 * with the client. It verifies no signatures; whoever tests those asks Keyfleet's own.
 */
export class FakeXksProxy {
  /** AES-256 keys by their external key ids. */
  readonly keys = new Map<string, Buffer>([['key-1', randomBytes(32)]]);
  /** Every request, as `<path>` and its parsed body. */
  readonly requests: { readonly path: string; readonly body: Body }[] = [];
  /** Changes an answer before it is sent. */
  lie: (answer: Record<string, unknown>) => Record<string, unknown> = (answer) => answer;
  health = 'ACTIVE';
  keyStatus = 'ENABLED';
  /** Of the proxy's own, returned with each ciphertext. */
  metadata = Buffer.of();
  ivLength = 12;

  readonly answer = ({ path, body }: Pick<XksCall, 'path' | 'body'>): XksAnswer => {
    const parsed = JSON.parse(body.toString()) as Body;
    this.requests.push({ path, body: parsed });
    const [status, answer] = this.#answer(path, parsed);
    return { status, body: Buffer.from(JSON.stringify(status === 200 ? this.lie(answer) : answer)) };
  };

  #answer(path: string, body: Body): readonly [number, Record<string, unknown>] {
    const [, externalKeyId = '', api] = /\/kms\/xks\/v1\/keys\/([^/]+)\/(\w+)$/.exec(path) ?? [];
    if (path.endsWith('/kms/xks/v1/health')) return [200, this.#health()];
    const key = this.keys.get(externalKeyId);
    if (key === undefined) return [404, { errorName: 'KeyNotFoundException' }];
    if (api === 'metadata') {
      return [200, { keySpec: 'AES_256', keyUsage: ['ENCRYPT', 'DECRYPT'], keyStatus: this.keyStatus }];
    }
    return api === 'encrypt' ? [200, this.#encrypt(key, body)] : this.#decrypt(key, body);
  }

  #health(): Record<string, unknown> {
    const ekmFleetDetails = [{ id: 'hsm-1', model: 'Fake 1.0', healthStatus: this.health }];
    return { xksProxyFleetSize: 1, xksProxyVendor: 'Fake', xksProxyModel: '1', ekmVendor: 'Fake', ekmFleetDetails };
  }

  #encrypt(key: Buffer, body: Body): Record<string, unknown> {
    const iv = randomBytes(this.ivLength);
    const aad = bytes(body['additionalAuthenticatedData']);
    const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(boundTo(aad, this.metadata));
    const ciphertext = Buffer.concat([cipher.update(bytes(body['plaintext'])), cipher.final()]);
    const tag = cipher.getAuthTag();
    const whole = Buffer.concat([aad, this.metadata, iv, ciphertext, tag]);
    return {
      ciphertext: ciphertext.toString('base64'),
      initializationVector: iv.toString('base64'),
      authenticationTag: tag.toString('base64'),
      ...(this.metadata.length > 0 && { ciphertextMetadata: this.metadata.toString('base64') }),
      ciphertextDataIntegrityValue: createHash('sha256').update(whole).digest('base64'),
    };
  }

  #decrypt(key: Buffer, body: Body): readonly [number, Record<string, unknown>] {
    const aad = boundTo(bytes(body['additionalAuthenticatedData']), bytes(body['ciphertextMetadata']));
    const cipher = createDecipheriv('aes-256-gcm', key, bytes(body['initializationVector']), { authTagLength: TAG });
    cipher.setAAD(aad).setAuthTag(bytes(body['authenticationTag']));
    try {
      const plaintext = Buffer.concat([cipher.update(bytes(body['ciphertext'])), cipher.final()]);
      return [200, { plaintext: plaintext.toString('base64') }];
    } catch {
      return [400, { errorName: 'InvalidCiphertextException' }];
    }
  }
}

function bytes(text: unknown): Buffer {
  return typeof text === 'string' ? Buffer.from(text, 'base64') : Buffer.of();
}

/** With their lengths, as the specification asks. */
function boundTo(aad: Buffer, metadata: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(aad.length);
  return Buffer.concat([length, aad, Buffer.of(metadata.length), metadata]);
}
