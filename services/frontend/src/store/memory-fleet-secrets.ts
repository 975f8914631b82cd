import type { RecordKeyStore } from './record-key.ts';
import type { FleetKeyStore } from './store.ts';

/** The fleet's secrets in memory: for tests, and as the reference for those in Redis. */
export class MemoryFleetSecrets implements RecordKeyStore, FleetKeyStore {
  /** Set as dropping record keys sets it. */
  oldestRecordKey: number | undefined;
  readonly #secrets = new Map<string, Uint8Array>();
  readonly #fleetKeys = new Map<string, Uint8Array>();

  async findSecret(name: string): Promise<Uint8Array | undefined> {
    return this.#secrets.get(name);
  }

  async insertSecret(name: string, token: Uint8Array): Promise<Uint8Array> {
    const stored = this.#secrets.get(name) ?? token;
    this.#secrets.set(name, stored);
    return stored;
  }

  async findOldestRecordKey(): Promise<number | undefined> {
    return this.oldestRecordKey;
  }

  async noteOldestRecordKey(number: number): Promise<void> {
    this.oldestRecordKey = Math.max(this.oldestRecordKey ?? 0, number);
  }

  async findFleetKey(name: string, domainKeyId: string): Promise<Uint8Array | undefined> {
    return this.#fleetKeys.get(`${name} ${domainKeyId}`);
  }

  async insertFleetKey(name: string, domainKeyId: string, token: Uint8Array): Promise<void> {
    if (!this.#fleetKeys.has(`${name} ${domainKeyId}`)) this.#fleetKeys.set(`${name} ${domainKeyId}`, token);
  }

  async listFleetKeys(name: string, domainKeyIds: readonly string[]): Promise<readonly string[]> {
    return domainKeyIds.filter((id) => this.#fleetKeys.has(`${name} ${id}`));
  }

  async dropFleetKey(name: string, domainKeyId: string, token?: Uint8Array): Promise<void> {
    const at = `${name} ${domainKeyId}`;
    if (token !== undefined && !Buffer.from(this.#fleetKeys.get(at) ?? []).equals(token)) return;
    this.#fleetKeys.delete(at);
  }
}
