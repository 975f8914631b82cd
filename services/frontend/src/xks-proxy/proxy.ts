import { Decrypt, Encrypt } from '@keyfleet/shared/api/cipher';
import { DescribeKey } from '@keyfleet/shared/api/keys';
import type { Operation } from '@keyfleet/shared/api/operation';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { isKeyId } from '@keyfleet/shared/ids';
import type { z } from 'zod';
import type { HsmCommands } from '../hsm/commands.ts';
import type { KmsKey } from '../keys/kms-key.ts';
import type { EdgeRequest, Input, Wanted } from '../request/attempt.ts';
import type { Pipeline } from '../request/pipeline.ts';
import type { KeyStore } from '../store/store.ts';
import {
  DecryptRequest,
  EncryptRequest,
  HealthRequest,
  integrityValueOf,
  MetadataRequest,
  XKS_SERVICE,
} from '../xks/wire.ts';
import { type ProxyAnswer, ProxyError, refusal, refusalOf } from './answers.ts';
import { blobOf, contextOf, partsOf } from './blob-parts.ts';

export interface ProxyDeps {
  readonly pipeline: Pick<Pipeline, 'process'>;
  readonly hsm: Pick<HsmCommands, 'execute'>;
  readonly keys: Pick<KeyStore, 'findKey'>;
  /** The account whose keys are used. A key of any other is as one that does not exist. */
  readonly accountId: string;
  readonly region: string;
}

export interface ProxyRequest extends EdgeRequest {
  /** What follows `/kms/xks/v1`. */
  readonly resource: string;
  readonly body: Buffer;
}

/** Requests are signed for the Region of the calling service, which is not ours. */
const anyRegion = Object.assign(new Set<string>(), { has: () => true });

/**
 * One path of the proxy: AWS's External Key Store Proxy API over an account's KMS keys. Each request is processed like
 * any KMS request, as the path's user: policies decide, and the audit log records it.
 */
export class XksPath {
  readonly #deps: ProxyDeps;

  constructor(deps: ProxyDeps) {
    this.#deps = deps;
  }

  /** Never rejects. */
  async answer(request: ProxyRequest): Promise<ProxyAnswer> {
    try {
      return { status: 200, body: JSON.stringify(await this.#serve(request)) };
    } catch (error) {
      if (error instanceof ProxyError) return refusal(error.errorName);
      return error instanceof KmsException ? refusalOf(error) : refusal('InternalException');
    }
  }

  #serve(request: ProxyRequest): Promise<object> {
    if (request.resource === '/health') return this.#health(request);
    const [, keyId = '', api] =
      /^\/keys\/([A-Za-z0-9._-]{1,128})\/(metadata|encrypt|decrypt)$/.exec(request.resource) ?? [];
    if (api === undefined) throw new ProxyError('InvalidUriPathException');
    if (api === 'metadata') return this.#metadata(request, keyId);
    return api === 'encrypt' ? this.#encrypt(request, keyId) : this.#decrypt(request, keyId);
  }

  /** An HSM works for this request, so the next request will find one too. */
  #health(request: ProxyRequest): Promise<object> {
    return this.#process(request, {
      name: 'GetHealthStatus',
      operation: undefined,
      parse: () => parsed(HealthRequest, request),
      perform: async ({ call }) => this.#deps.hsm.execute('GenerateRandom', { length: 1 }, call!.deadline),
      format: () => ({
        xksProxyFleetSize: 1,
        xksProxyVendor: 'Keyfleet',
        xksProxyModel: 'Keyfleet',
        ekmVendor: 'Keyfleet',
        ekmFleetDetails: [{ id: this.#deps.region, model: 'Keyfleet', healthStatus: 'ACTIVE' }],
      }),
    });
  }

  #metadata(request: ProxyRequest, keyId: string): Promise<object> {
    return this.#process(request, {
      ...named(DescribeKey),
      parse: () => {
        parsed(MetadataRequest, request);
        return { KeyId: keyIdOf(keyId) };
      },
      format: (output) => {
        const { KeySpec, KeyUsage, KeyState, CustomKeyStoreId } = (output as DescribedKey).KeyMetadata;
        const isUsable = KeySpec === 'SYMMETRIC_DEFAULT' && CustomKeyStoreId === undefined;
        return {
          keySpec: isUsable ? 'AES_256' : KeySpec,
          keyUsage: isUsable ? ['ENCRYPT', 'DECRYPT'] : [KeyUsage],
          keyStatus: KeyState === 'Enabled' ? 'ENABLED' : 'DISABLED',
        };
      },
    });
  }

  #encrypt(request: ProxyRequest, keyId: string): Promise<object> {
    let associatedData = Buffer.alloc(0);
    return this.#process(request, {
      ...named(Encrypt),
      parse: async () => {
        const { plaintext, additionalAuthenticatedData } = parsed(EncryptRequest, request);
        associatedData = additionalAuthenticatedData ?? associatedData;
        await this.#findKey(keyId);
        return cipherInput(keyId, { Plaintext: plaintext }, associatedData);
      },
      format: (output) => {
        const parts = partsOf(Buffer.from((output as { CiphertextBlob: Uint8Array }).CiphertextBlob));
        return {
          ciphertext: base64Of(parts.ciphertext),
          ciphertextMetadata: base64Of(parts.metadata),
          initializationVector: base64Of(parts.iv),
          authenticationTag: base64Of(parts.tag),
          ciphertextDataIntegrityValue: base64Of(integrityValueOf(associatedData, parts)),
        };
      },
    });
  }

  #decrypt(request: ProxyRequest, keyId: string): Promise<object> {
    return this.#process(request, {
      ...named(Decrypt),
      parse: async () => {
        const { ciphertext, ciphertextMetadata, additionalAuthenticatedData, ...rest } = parsed(
          DecryptRequest,
          request,
        );
        const { initializationVector: iv, authenticationTag: tag } = rest;
        const key = await this.#findKey(keyId);
        const CiphertextBlob = blobOf(key, { ciphertext, metadata: ciphertextMetadata ?? Buffer.of(), iv, tag });
        if (CiphertextBlob === undefined) throw told('InvalidCiphertextException');
        return cipherInput(keyId, { CiphertextBlob }, additionalAuthenticatedData);
      },
      format: (output) => ({ plaintext: base64Of((output as { Plaintext: Uint8Array }).Plaintext) }),
    });
  }

  /** Whether the key may be used is decided later. Only keys whose material is in the HSMs can be behind a proxy. */
  async #findKey(keyId: string): Promise<KmsKey> {
    const key = await this.#deps.keys.findKey(this.#deps.region, keyIdOf(keyId));
    if (key?.accountId !== this.#deps.accountId) throw told('KeyNotFoundException');
    if (key.keySpec !== 'SYMMETRIC_DEFAULT' || key.customKeyStoreId !== undefined)
      throw told('InvalidKeyUsageException');
    return key;
  }

  #process(request: EdgeRequest, wanted: Omit<Wanted<object>, 'service' | 'signedFor'>): Promise<object> {
    const signedFor = { service: XKS_SERVICE, regions: anyRegion };
    return this.#deps.pipeline.process(request, { ...wanted, service: 'kms', signedFor });
  }
}

interface DescribedKey {
  readonly KeyMetadata: {
    readonly KeySpec: string;
    readonly KeyUsage: string;
    readonly KeyState: string;
    readonly CustomKeyStoreId?: string;
  };
}

function named(operation: Operation) {
  return { name: operation.name, operation };
}

/** An external key id is a key id: an alias could name a different key tomorrow. */
function keyIdOf(externalKeyId: string): string {
  if (isKeyId(externalKeyId)) return externalKeyId;
  throw told('KeyNotFoundException');
}

function cipherInput(keyId: string, bytes: Input, associatedData: Uint8Array | undefined): Input {
  const EncryptionContext = contextOf(associatedData);
  return { KeyId: keyId, ...bytes, EncryptionContext, EncryptionAlgorithm: 'SYMMETRIC_DEFAULT' };
}

/** The proxy's own refusal, as an exception for the pipeline. */
function told(errorName: ProxyError['errorName']): KmsException {
  return new KmsException('ValidationException', '', { cause: new ProxyError(errorName) });
}

function parsed<S extends z.ZodType>(schema: S, { body }: ProxyRequest): z.output<S> {
  try {
    return schema.parse(JSON.parse(body.toString('utf8')));
  } catch (cause) {
    throw new KmsException('ValidationException', '', { cause });
  }
}

function base64Of(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}
