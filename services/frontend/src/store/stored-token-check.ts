import { hash as digest } from 'node:crypto';
import { follow } from '@keyfleet/shared/domain/chain';
import { DomainError } from '@keyfleet/shared/domain/domain-error';
import { type DomainToken, parseToken } from '@keyfleet/shared/domain/token';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { readElements, unlessDamaged } from '@keyfleet/shared/redis/stored-values';
import { tokensAt } from '@keyfleet/shared/stored/names';
import type { DomainView } from '../hsm/domain-view.ts';

/** A token may have three megabytes. */
const EVERY_MS = 5_000;

/**
 * Whether the list holds the domain tokens that members have proven, and not something else in their places: workers
 * keep the newest alone, and whoever starts needs all. The newest is read at once, then every few seconds, and each
 * time one of those before it. The hash covers neither the signature nor the witness, without which nobody takes a
 * token, so each is verified.
 */
export class StoredTokenCheck {
  readonly #domain: Pick<DomainView, 'anchor' | 'provenGeneration' | 'provenHash'>;
  /** SHA-256 of the bytes that were found to be that token, by generation. */
  readonly #sound = new Map<number, string>();
  #newest = 0;
  #earlier = 0;
  #readAt = -Infinity;
  #lost: number | undefined;

  constructor(domain: Pick<DomainView, 'anchor' | 'provenGeneration' | 'provenHash'>) {
    this.#domain = domain;
  }

  /** The generation of one that is not there; undefined if none is known. */
  async findLost(client: RedisClient, isFirst: boolean): Promise<number | undefined> {
    const newest = this.#domain.provenGeneration;
    const now = performance.now();
    if (!isFirst && newest === this.#newest && now - this.#readAt < EVERY_MS) return this.#lost;
    this.#earlier = this.#earlier > 1 ? this.#earlier - 1 : newest - 1;
    let lost: number | undefined;
    for (const generation of new Set([this.#lost ?? newest, newest, this.#earlier])) {
      lost ??= await this.#lostAt(client, generation);
    }
    this.#newest = newest;
    this.#readAt = now;
    return (this.#lost = lost);
  }

  async #lostAt(client: RedisClient, generation: number): Promise<number | undefined> {
    const hash = this.#domain.provenHash(generation);
    if (hash === undefined) return undefined;
    const stored = await this.#read(client, generation);
    if (stored === undefined) return generation;
    const id = digest('sha256', stored);
    if (this.#sound.get(generation) === id) return undefined;
    const before = generation === 1 ? undefined : parsed(await this.#read(client, generation - 1));
    if (generation > 1 && !isOf(before, this.#domain.provenHash(generation - 1))) return generation - 1;
    const token = parsed(stored);
    if (!isOf(token, hash) || !this.#follows(before, token!)) return generation;
    this.#sound.set(generation, id);
    return undefined;
  }

  async #read(client: RedisClient, generation: number): Promise<Buffer | undefined> {
    const name = tokensAt(this.#domain.anchor.domain);
    const found = await readElements(client, name, generation - 1, generation - 1).catch((e) => unlessDamaged(e));
    return found?.[0];
  }

  #follows(before: DomainToken | undefined, token: DomainToken): boolean {
    return orUndefined(() => follow(this.#domain.anchor, before, token)) !== undefined;
  }
}

function parsed(stored: Buffer | undefined): DomainToken | undefined {
  return stored === undefined ? undefined : orUndefined(() => parseToken(stored));
}

function isOf(token: DomainToken | undefined, hash: Uint8Array | undefined): boolean {
  return token !== undefined && hash !== undefined && token.hash.equals(hash);
}

function orUndefined<T>(verify: () => T): T | undefined {
  try {
    return verify();
  } catch (error) {
    if (error instanceof DomainError) return undefined;
    throw error;
  }
}
