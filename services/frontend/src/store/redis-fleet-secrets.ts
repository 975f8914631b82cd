import { secretAt } from '@keyfleet/shared/stored/names';
import type { RedisCalls } from './redis-calls.ts';
import type { FleetSecretStore } from './store.ts';

/** The fleet's secrets in Redis: each is sealed by itself, and opens whatever else is there. */
export class RedisFleetSecrets implements FleetSecretStore {
  readonly #redis: RedisCalls;

  constructor(redis: RedisCalls) {
    this.#redis = redis;
  }

  async findSecret(name: string): Promise<Uint8Array | undefined> {
    return (await this.#redis.read((client) => client.getBuffer(secretAt(name)))) ?? undefined;
  }

  async insertSecret(name: string, token: Uint8Array): Promise<Uint8Array> {
    await this.#redis.write('set', secretAt(name), Buffer.from(token), 'NX');
    const stored = await this.findSecret(name);
    if (!stored) throw new Error(`the fleet secret ${name} is gone as soon as it was stored`);
    return stored;
  }
}
