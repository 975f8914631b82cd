import { CreateKeyCommand, DecryptCommand, EncryptCommand, type KMSClient } from '@aws-sdk/client-kms';
import type { Seeded } from './seeded.ts';

export interface Sealed {
  readonly keyId: string;
  readonly plaintext: string;
  readonly ciphertext: Uint8Array;
}

/** A call that failed; times as of `Date.now()`. */
export interface Failure {
  readonly operation: string;
  readonly error: Error;
  readonly startedAt: number;
  readonly endedAt: number;
}

/**
 * Clients of the AWS SDK that create keys, encrypt and decrypt without pause, and remember everything that was
 * acknowledged.
 */
export class KmsLoad {
  readonly keys: string[] = [];
  readonly sealed: Sealed[] = [];
  readonly failures: Failure[] = [];
  /** Ciphertexts that opened to something else. */
  readonly wrong: Sealed[] = [];
  succeeded = 0;
  readonly #kms: KMSClient;
  readonly #random: Seeded;
  readonly #stop = new AbortController();
  #clients: Promise<unknown> = Promise.resolve();

  constructor(kms: KMSClient, random: Seeded) {
    this.#kms = kms;
    this.#random = random;
  }

  start(clients: number): void {
    this.#clients = Promise.all(Array.from({ length: clients }, () => this.#client()));
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#clients;
  }

  async create(): Promise<void> {
    const { KeyMetadata } = await this.#kms.send(new CreateKeyCommand({}));
    this.keys.push(KeyMetadata!.KeyId!);
  }

  async encrypt(keyId: string): Promise<Sealed> {
    const plaintext = `plaintext ${this.#random.next()}`;
    const command = new EncryptCommand({ KeyId: keyId, Plaintext: Buffer.from(plaintext) });
    const { CiphertextBlob } = await this.#kms.send(command);
    const sealed = { keyId, plaintext, ciphertext: CiphertextBlob! };
    this.sealed.push(sealed);
    return sealed;
  }

  async decrypt(sealed: Sealed): Promise<void> {
    const { Plaintext } = await this.#kms.send(new DecryptCommand({ CiphertextBlob: sealed.ciphertext }));
    if (Buffer.from(Plaintext!).toString() !== sealed.plaintext) this.wrong.push(sealed);
  }

  async #client(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const dice = this.#random.next();
      if (this.keys.length === 0 || dice < 0.1) await this.#try('CreateKey', () => this.create());
      else if (this.sealed.length === 0 || dice < 0.5) {
        await this.#try('Encrypt', () => this.encrypt(this.#random.pick(this.keys)));
      } else await this.#try('Decrypt', () => this.decrypt(this.#random.pick(this.sealed)));
    }
  }

  async #try(operation: string, run: () => Promise<unknown>): Promise<void> {
    const startedAt = Date.now();
    try {
      await run();
      this.succeeded++;
    } catch (error) {
      this.failures.push({ operation, error: error as Error, startedAt, endedAt: Date.now() });
    }
  }
}
