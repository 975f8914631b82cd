import { timingSafeEqual } from 'node:crypto';
import { FormatError } from '@keyfleet/shared/encoding/bytes';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { findKeyStore, type KeyStoreStore } from '../key-stores/key-store.ts';
import type { SecondEncryption, UseOf } from '../key-stores/second-encryption.ts';
import type { KmsKey } from '../keys/kms-key.ts';
import { associatedDataOf, joinExternalBlob, parseExternalBlob } from './external-blob.ts';
import { XksError } from './problems.ts';
import type { ProxyOf, XksProxies } from './proxies.ts';
import { integrityValueOf } from './wire.ts';

export interface ExternalKeysDeps {
  readonly keyStores: Pick<KeyStoreStore, 'find'>;
  readonly proxies: Pick<XksProxies, 'use'>;
}

/**
 * Encrypts a second time, with keys in external key stores. Its input was already encrypted by an HSM under our
 * material. So no plaintext leaves the boundary for the proxy, and what the proxy encrypted stays closed without it
 * (docs/decisions/0014).
 */
export class ExternalKeys implements SecondEncryption {
  readonly #deps: ExternalKeysDeps;

  constructor(deps: ExternalKeysDeps) {
    this.#deps = deps;
  }

  /** Turns `inner`, an HSM's ciphertext, into the caller's. Throws KmsException. */
  encrypt(key: KmsKey, inner: Uint8Array, use: UseOf): Promise<Uint8Array> {
    return told(use, () => this.#encrypt(key, inner, use));
  }

  async #encrypt(key: KmsKey, inner: Uint8Array, use: UseOf): Promise<Uint8Array> {
    const associatedData = associatedDataOf(inner);
    const members = {
      plaintext: base64Of(inner),
      encryptionAlgorithm: 'AES_GCM',
      additionalAuthenticatedData: base64Of(associatedData),
      ciphertextDataIntegrityValueAlgorithm: 'SHA_256',
    };
    const answer = await this.#use(key, 'encrypt', { members, use });
    const { ciphertext, ciphertextMetadata: metadata = Buffer.of() } = answer;
    const blob = {
      associatedData,
      ciphertext,
      metadata,
      iv: answer.initializationVector,
      tag: answer.authenticationTag,
    };
    const isWhole = timingSafeEqual(integrityValueOf(associatedData, blob), answer.ciphertextDataIntegrityValue);
    if (!isWhole || ciphertext.length !== inner.length) throw new XksError('invalid-response');
    return joinExternalBlob(blob);
  }

  /** Returns the ciphertext that an HSM then opens. Throws KmsException. */
  decrypt(key: KmsKey, blob: Uint8Array, use: UseOf): Promise<Uint8Array> {
    return told(use, async () => this.#decrypt(key, parseExternalBlob(blob), use));
  }

  async #decrypt(key: KmsKey, parts: ReturnType<typeof parseExternalBlob>, use: UseOf): Promise<Uint8Array> {
    const members = {
      ciphertext: base64Of(parts.ciphertext),
      ...(parts.metadata.length > 0 && { ciphertextMetadata: base64Of(parts.metadata) }),
      encryptionAlgorithm: 'AES_GCM',
      additionalAuthenticatedData: base64Of(parts.associatedData),
      initializationVector: base64Of(parts.iv),
      authenticationTag: base64Of(parts.tag),
    };
    const { plaintext } = await this.#use(key, 'decrypt', { members, use });
    if (plaintext.length !== parts.ciphertext.length) throw new XksError('ciphertext-wrong');
    return plaintext;
  }

  async #use<A extends 'encrypt' | 'decrypt'>(key: KmsKey, api: A, { members, use }: { members: object; use: UseOf }) {
    const { accountId, region, customKeyStoreId = '', xksKeyId: externalKeyId = '' } = key;
    const { recall, ...purpose } = use;
    const store = findKeyStore(await this.#deps.keyStores.find({ accountId, region }, recall), customKeyStoreId);
    if (store?.type !== 'EXTERNAL_KEY_STORE')
      throw new Error(`${key.arn} is in an external key store that does not exist`);
    const proxy: ProxyOf = { accountId, region, storeId: store.id, xks: store.xks };
    return this.#deps.proxies.use(proxy, api, { externalKeyId, members, purpose: { ...purpose, keyArn: key.arn } });
  }
}

async function told<T>({ operation }: UseOf, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof FormatError) throw new KmsException('InvalidCiphertextException', '', { cause: error });
    throw error instanceof XksError ? error.toldBy(operation) : error;
  }
}

function base64Of(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}
