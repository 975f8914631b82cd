import { parseToken } from '@keyfleet/shared/domain/token';
import type { LocalWorker } from './replicas.ts';

/** What may never be, whoever is away or lies: this remembers what honest members had. */
export class DomainPromises {
  /** By generation - 1: the hashes of the tokens that one of them has ever installed. */
  readonly #installed: string[] = [];
  /** By id. */
  readonly #domainKeys = new Map<string, string>();

  /**
   * Throws if one of `honest` is on another chain than another, or has another key; or if the store has another token
   * in the place of one that they had.
   */
  assertKept(honest: readonly LocalWorker[], stored: readonly Buffer[]): void {
    for (const { hsm } of honest) {
      const { domain, tokenHash, generation } = hsm.describe();
      const isKnown = domain !== '' && tokenHash.length > 0;
      if (isKnown && this.#installedAt(generation, stored) !== Buffer.from(tokenHash).toString('hex'))
        throw new Error(`${hsm.memberId} has another token ${generation}`);
      for (const { id, key } of hsm.installed?.secrets.domainKeys ?? []) {
        const bytes = key.export().toString('hex');
        if (this.#domainKeys.getOrInsert(id, bytes) !== bytes)
          throw new Error(`${hsm.memberId} has another domain key`);
      }
    }
    for (const [i, hash] of stored.map(hashOf).entries())
      if ((this.#installed[i] ?? hash) !== hash) throw new Error(`token ${i + 1} is another one`);
  }

  #installedAt(generation: number, stored: readonly Buffer[]): string | undefined {
    this.#installed.push(...stored.slice(this.#installed.length, generation).map(hashOf));
    return this.#installed[generation - 1];
  }
}

function hashOf(token: Buffer): string {
  return parseToken(token).hash.toString('hex');
}
