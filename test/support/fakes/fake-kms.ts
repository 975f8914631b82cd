import { createHash } from 'node:crypto';
import { type KmsClient, KmsException } from '@keyfleet/client';

export const KEY_ARN = 'arn:aws:kms:us-east-1:000000000000:key/11111111-2222-3333-4444-555555555555';

type Kms = Pick<KmsClient, 'Encrypt' | 'Decrypt'>;

/** One KMS key whose ciphertexts are not sealed: they say their material, context and plaintext. */
export class FakeKms implements Kms {
  /** What every call is refused with. */
  refusal: Error | undefined;
  calls = 0;
  #rotations = 0;

  rotate(): void {
    this.#rotations += 1;
  }

  readonly Encrypt: Kms['Encrypt'] = ({ Plaintext, EncryptionContext = {} }) =>
    this.#answer(() => {
      const plaintext = Buffer.from(Plaintext).toString('hex');
      const CiphertextBlob = Buffer.from(JSON.stringify([this.#rotations, EncryptionContext, plaintext]));
      return { CiphertextBlob, KeyId: KEY_ARN };
    });

  readonly Decrypt: Kms['Decrypt'] = ({ CiphertextBlob, EncryptionContext = {} }) =>
    this.#answer(() => {
      const [rotation, context, plaintext] = JSON.parse(Buffer.from(CiphertextBlob!).toString()) as [
        number,
        {},
        string,
      ];
      if (JSON.stringify(context) !== JSON.stringify(EncryptionContext)) {
        throw new KmsException('InvalidCiphertextException', 'InvalidCiphertextException');
      }
      const KeyMaterialId = createHash('sha256').update(`${rotation}`).digest('hex');
      return { Plaintext: Buffer.from(plaintext, 'hex'), KeyId: KEY_ARN, KeyMaterialId };
    });

  async #answer<T>(work: () => T): Promise<T> {
    this.calls += 1;
    await Promise.resolve();
    if (this.refusal !== undefined) throw this.refusal;
    return work();
  }
}
