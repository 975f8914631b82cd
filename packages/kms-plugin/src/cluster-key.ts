import { type KmsClient, KmsException } from '@keyfleet/client';

/** kube-apiserver asked for something that the KMS v2 API does not have, or that is not ours. */
export class RefusedError extends Error {
  override name = 'RefusedError';
}

/** What kube-apiserver stores beside the data it encrypts. Whoever reads etcd can read all of it. */
export interface Encrypted {
  readonly ciphertext: Uint8Array;
  /** Identifies the key material; it changes with a rotation. */
  readonly keyId: string;
  readonly annotations: Readonly<Record<string, Uint8Array>>;
}

/**
 * A domain name, as the KMS v2 API requires. Holds the context of a ciphertext, because the configured one may change.
 */
const CONTEXT_ANNOTATION = 'encryption-context.kms.keyfleet';
/** KMS v2 API, EncryptResponse: bytes. */
const MAX_CIPHERTEXT = 1023;
const keyIdForm = /^(arn:[a-z-]+:kms:[a-z0-9-]+:\d{12}:key\/[\w-]+)(?:#[0-9a-f]{64})?$/;

export interface ClusterKeyOptions {
  readonly kms: Pick<KmsClient, 'Encrypt' | 'Decrypt'>;
  /** ARN, alias or id. */
  readonly keyId: string;
  readonly encryptionContext: Readonly<Record<string, string>>;
}

/** The KMS key in Keyfleet that encrypts the seeds from which a Kubernetes cluster derives its data keys. */
export class ClusterKey {
  readonly #options: ClusterKeyOptions;

  constructor(options: ClusterKeyOptions) {
    this.#options = options;
  }

  /**
   * The result is decrypted again: only Decrypt says which key material it is under, and nothing is stored that would
   * not open. kube-apiserver asks once at its start and once per rotation.
   */
  async encrypt(plaintext: Uint8Array): Promise<Encrypted> {
    const { kms, keyId, encryptionContext: EncryptionContext } = this.#options;
    const { CiphertextBlob, KeyId } = await kms.Encrypt({ KeyId: keyId, Plaintext: plaintext, EncryptionContext });
    if (CiphertextBlob!.length > MAX_CIPHERTEXT) {
      const size = `${plaintext.length} bytes become ${CiphertextBlob!.length}`;
      throw new RefusedError(`${size}, and a ciphertext of the KMS v2 API has ${MAX_CIPHERTEXT} at most`);
    }
    const opened = await kms.Decrypt({ KeyId: KeyId!, CiphertextBlob: CiphertextBlob!, EncryptionContext });
    if (Buffer.compare(opened.Plaintext!, plaintext) !== 0) {
      throw new Error('Keyfleet decrypted a ciphertext to something other than what was encrypted');
    }
    const material = opened.KeyMaterialId === undefined ? '' : `#${opened.KeyMaterialId}`;
    const annotations = { [CONTEXT_ANNOTATION]: Buffer.from(JSON.stringify(EncryptionContext)) };
    return { ciphertext: CiphertextBlob!, keyId: `${opened.KeyId!}${material}`, annotations };
  }

  /**
   * Throws RefusedError for anything that does not look like a ciphertext of this plugin, KmsException if Keyfleet
   * refuses.
   */
  async decrypt({ ciphertext, keyId, annotations }: Encrypted): Promise<Uint8Array> {
    const [, KeyId] = keyIdForm.exec(keyId) ?? [];
    if (KeyId === undefined) throw new RefusedError(`'${keyId.slice(0, 100)}' is not a key id of Keyfleet's plugin`);
    const EncryptionContext = contextOf(annotations[CONTEXT_ANNOTATION]);
    const { Plaintext } = await this.#options.kms.Decrypt({ KeyId, CiphertextBlob: ciphertext, EncryptionContext });
    // Nothing empty is ever encrypted; kube-apiserver would take it for what was.
    if (Plaintext === undefined || Plaintext.length === 0) throw new Error('Keyfleet answers no plaintext');
    return Plaintext;
  }
}

function contextOf(annotation: Uint8Array | undefined): Record<string, string> {
  if (annotation === undefined) return {};
  try {
    const context: unknown = JSON.parse(Buffer.from(annotation).toString('utf8'));
    const entries = Object.entries(context as object);
    if (entries.every(([, value]) => typeof value === 'string')) return Object.fromEntries(entries) as never;
  } catch {
    // Reported below.
  }
  throw new RefusedError(`the annotation ${CONTEXT_ANNOTATION} is no encryption context`);
}

/** What is wrong, for kube-apiserver's log. */
export function problemOf(error: unknown): string {
  if (error instanceof KmsException) return `Keyfleet answers ${error.code}: ${error.message}`;
  return error instanceof Error ? error.message : String(error);
}
