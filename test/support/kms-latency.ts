import { EncryptCommand, CreateKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { createKmsClient, type KmsClient } from '@keyfleet/client';
import type { TestCluster } from './cluster.ts';

/** Milliseconds. */
export interface Latencies {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly failures: readonly string[];
}

/**
 * Of a few hundred calls, two or three make the p99: up to this a busy machine may cause it. A successful attack takes
 * longer.
 */
const NOISE_MS = 3_000;

/** Encrypts over HTTP and gRPC, one call after the other on each, none of them repeated when it fails. */
export class KmsLatency implements Disposable {
  readonly #http: KMSClient;
  readonly #grpc: KmsClient;
  readonly #keyId: string;

  private constructor(parts: { readonly http: KMSClient; readonly grpc: KmsClient; readonly keyId: string }) {
    this.#http = parts.http;
    this.#grpc = parts.grpc;
    this.#keyId = parts.keyId;
  }

  static async start({ endpoint, grpcAddress, credentials }: TestCluster): Promise<KmsLatency> {
    const http = new KMSClient({ endpoint, region: 'us-east-1', credentials, maxAttempts: 1 });
    const grpc = createKmsClient({ address: grpcAddress, region: 'us-east-1', credentials });
    const { KeyMetadata } = await http.send(new CreateKeyCommand({}));
    return new KmsLatency({ http, grpc, keyId: KeyMetadata!.KeyId! });
  }

  async measure(forMs: number): Promise<Latencies> {
    const took: number[] = [];
    const failures: string[] = [];
    const until = performance.now() + forMs;
    const repeat = async (name: string, encrypt: () => Promise<unknown>): Promise<void> => {
      while (performance.now() < until) {
        const startedAt = performance.now();
        await encrypt().catch((error: unknown) => failures.push(`${name}: ${String(error)}`));
        took.push(performance.now() - startedAt);
      }
    };
    // Larger than what 256 uploads of a mebibyte, each short of one byte, leave of the memory for bodies.
    const input = { KeyId: this.#keyId, Plaintext: Buffer.alloc(1_024) };
    await Promise.all([
      repeat('HTTP', () => this.#http.send(new EncryptCommand(input))),
      repeat('gRPC', () => this.#grpc.Encrypt(input)),
    ]);
    took.sort((a, b) => a - b);
    const at = (share: number): number => Math.round(took[Math.floor(share * took.length)]! * 10) / 10;
    return { count: took.length, p50: at(0.5), p99: at(0.99), failures };
  }

  /**
   * What a p99 under an attack must be below: twice what it is in a calm time, before the attack or, as the machine may
   * have become busier, after it. To be called when the attack is over.
   */
  async limitOf(attacked: Latencies, { calm, forMs }: { calm: Latencies; forMs: number }): Promise<number> {
    const limit = Math.max(2 * calm.p99, NOISE_MS);
    if (attacked.p99 < limit) return limit;
    return Math.max(limit, 2 * (await this.measure(forMs)).p99);
  }

  [Symbol.dispose](): void {
    this.#http.destroy();
    this.#grpc[Symbol.dispose]();
  }
}
