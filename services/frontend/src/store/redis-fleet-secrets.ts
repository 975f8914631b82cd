import { unlessDamaged } from '@keyfleet/shared/redis/stored-values';
import { fleetKeysAt, RECORD_KEYS, secretAt } from '@keyfleet/shared/stored/names';
import { recordKeyName, type RecordKeyRange, type RecordKeyStore } from './record-key.ts';
import type { RedisCalls } from './redis-calls.ts';
import { ConflictError, type FleetKeyStore } from './store.ts';

/** Each waits for its node's replicas. */
const FENCES_AT_ONCE = 100;

/** The fleet's secrets in Redis. Each is sealed separately and opens regardless of what else is stored. */
export class RedisFleetSecrets implements RecordKeyStore, FleetKeyStore {
  readonly #redis: RedisCalls;

  constructor(redis: RedisCalls) {
    this.#redis = redis;
  }

  async findSecret(name: string): Promise<Uint8Array | undefined> {
    return this.#redis.bytes(secretAt(name));
  }

  async insertSecret(name: string, token: Uint8Array): Promise<Uint8Array> {
    await this.#redis.write('set', secretAt(name), Buffer.from(token), 'NX');
    const stored = await this.findSecret(name);
    if (!stored) throw new Error(`the fleet secret ${name} was gone right after it was stored`);
    return stored;
  }

  async findFleetKey(name: string, domainKeyId: string): Promise<Uint8Array | undefined> {
    return this.#redis.fieldBytes(fleetKeysAt(name), domainKeyId);
  }

  async insertFleetKey(name: string, domainKeyId: string, token: Uint8Array): Promise<void> {
    await this.#redis.write('hsetnx', fleetKeysAt(name), domainKeyId, Buffer.from(token));
    // The first release had one permanent key.
    await this.#redis.write('unlink', secretAt(name));
  }

  async listFleetKeys(name: string, domainKeyIds: readonly string[]): Promise<readonly string[]> {
    const at = fleetKeysAt(name);
    const there = await this.#redis.about(at, (client) =>
      Promise.all(domainKeyIds.map((id) => client.hexists(at, id))),
    );
    return domainKeyIds.filter((_, i) => there[i] === 1);
  }

  async dropFleetKey(name: string, domainKeyId: string, token?: Uint8Array): Promise<void> {
    if (token === undefined) await this.#redis.write('hdel', fleetKeysAt(name), domainKeyId);
    else await this.#redis.script('kfDropField', fleetKeysAt(name), domainKeyId, Buffer.from(token));
  }

  async findOldestRecordKey(): Promise<number | undefined> {
    const text = await this.#redis.text(RECORD_KEYS).catch(unlessDamaged);
    return text !== undefined && /^[1-9]\d{0,8}$/.test(text) ? Number(text) : undefined;
  }

  async noteOldestRecordKey(number: number): Promise<void> {
    await this.#redis.script('kfNoteRecordKey', RECORD_KEYS, number);
  }

  /** From then on no record is written under an older key than this, whatever is still on its way. */
  async fenceRecordKeys(oldest: number): Promise<void> {
    const { fences } = this.#redis;
    // Somebody else may rotate at the same time.
    const next = await this.findSecret(recordKeyName(oldest + 1).name);
    const newest = next === undefined ? oldest : oldest + 1;
    for (let i = 0; i < fences.length; i += FENCES_AT_ONCE) {
      const some = fences.slice(i, i + FENCES_AT_ONCE);
      await Promise.all(some.map((fence) => this.#redis.script('kfRaiseFence', fence, oldest, newest)));
    }
  }

  /**
   * Drops all but the newest. The drop is recorded before the keys are gone. Throws ConflictError if others were
   * faster.
   */
  async dropOlderRecordKeys({ oldest, newest }: RecordKeyRange): Promise<void> {
    await this.noteOldestRecordKey(oldest);
    if ((await this.#redis.script('kfReplaceValue', RECORD_KEYS, String(oldest), String(newest))) !== 1) {
      throw new ConflictError('somebody else dropped record keys meanwhile');
    }
    // Starts from the first one, because an interrupted command left some.
    for (let number = 1; number < newest; number++) {
      await this.#redis.write('unlink', secretAt(recordKeyName(number).name));
    }
  }
}
