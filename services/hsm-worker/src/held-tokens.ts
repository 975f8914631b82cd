import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { DomainToken } from '@keyfleet/shared/domain/token';
import { readIfThere, writeDurably } from '@keyfleet/shared/durable-file';
import { HELD_TOKENS } from './boundary/domain/held-chain.ts';

/**
 * The newest tokens that a member has installed, a file for each generation. Whoever has a scheduler's host, or stands
 * between, may bring it some that are stored nowhere: the domain goes on only from these. A member that restarts has
 * its keys from the newest. They need no protection: whoever gets one verifies it.
 */
export class HeldTokens {
  readonly #directory: string;
  readonly #generations: Set<number>;

  private constructor(directory: string, generations: Iterable<number>) {
    this.#directory = directory;
    this.#generations = new Set(generations);
  }

  static async open(directory: string): Promise<HeldTokens> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const names = await readdir(directory);
    return new HeldTokens(directory, names.filter((name) => /^[1-9]\d{0,14}$/.test(name)).map(Number));
  }

  /** Oldest first. */
  async all(): Promise<Buffer[]> {
    const newest = [...this.#generations].toSorted((one, other) => one - other).slice(-HELD_TOKENS);
    const tokens = await Promise.all(newest.map((generation) => this.find(generation)));
    return tokens.filter((token) => token !== undefined);
  }

  async find(generation: number): Promise<Buffer | undefined> {
    return this.#generations.has(generation) ? readIfThere(this.#fileOf(generation)) : undefined;
  }

  /**
   * Tokens that follow one another, the newest last. They are on the disk when this resolves. Later ones that are there
   * are of a domain to which this worker no longer belongs.
   */
  async keep(tokens: readonly Pick<DomainToken, 'state' | 'bytes'>[]): Promise<void> {
    const newest = tokens.at(-1)?.state.generation ?? 0;
    for (const { state, bytes } of tokens.slice(-HELD_TOKENS)) {
      await writeDurably(this.#fileOf(state.generation), bytes);
      this.#generations.add(state.generation);
    }
    for (const generation of this.#generations) {
      if (generation > newest - HELD_TOKENS && generation <= newest) continue;
      await rm(this.#fileOf(generation), { force: true });
      this.#generations.delete(generation);
    }
  }

  #fileOf(generation: number): string {
    return join(this.#directory, String(generation));
  }
}
