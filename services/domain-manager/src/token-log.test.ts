import { anchor, DAY, foundedReplica, newReplica, resetWorld, world } from '@keyfleet/test-support/replicas';
import { beforeEach, describe, expect, test } from 'vitest';
import { MemoryStore } from './store/memory-store.ts';
import { TokenLog, TokenLogError } from './token-log.ts';

const confirmStored = async (tokens: readonly Buffer[]) => ({ upTo: tokens.length, isConfirmed: true });
beforeEach(resetWorld);

describe('a store that went back to an older backup', () => {
  /** The restored backup: the first `count` tokens. */
  async function restoreBackup(count: number): Promise<MemoryStore> {
    const backup = new MemoryStore(world.clock);
    for (const [index, token] of (await world.store.loadTokens(0, count)).entries())
      await backup.appendToken(index + 1, token);
    return backup;
  }
  async function rotatedTwice(): Promise<void> {
    const { round } = await foundedReplica();
    for (let day = 0; day < 2; day++) {
      world.clock.advance(DAY);
      await round.run();
    }
  }

  test('gets the lost tokens back from a replica that held them, which says so', async () => {
    await rotatedTwice();
    const all = await world.store.loadTokens(0, 9);
    for (const count of [1, 2]) {
      const restored: number[] = [];
      const backup = await restoreBackup(count);
      const tokens = new TokenLog({
        store: world.store,
        confirmStored,
        anchor,
        clock: world.clock,
        monotonicClock: world.clock,
        onRestored: (from, to) => restored.push(from, to),
      });
      await tokens.refresh();
      Object.assign(world.store, {
        loadTokens: backup.loadTokens.bind(backup),
        restoreToken: backup.restoreToken.bind(backup),
      });
      await tokens.refresh();
      expect(restored).toEqual([count + 1, 3]);
      expect(await backup.loadTokens(0, 9)).toEqual(all);
      await tokens.refresh();
      expect(restored).toHaveLength(2);
    }
  });

  test('and is empty is left alone: it may be any store', async () => {
    await rotatedTwice();
    const { store, clock, monotonicClock } = world;
    const tokens = new TokenLog({ store, anchor, confirmStored, clock, monotonicClock });
    await tokens.refresh();
    const emptied = await restoreBackup(0);
    Object.assign(world.store, {
      loadTokens: emptied.loadTokens.bind(emptied),
      restoreToken: emptied.restoreToken.bind(emptied),
    });
    await tokens.refresh();
    expect(tokens.generation).toBe(3);
    expect(await emptied.loadTokens(0, 9)).toEqual([]);
  });

  test('and was built on meanwhile is refused by a replica that held other tokens', async () => {
    await rotatedTwice();
    const { tokens } = newReplica();
    await tokens.refresh();
    const backup = await restoreBackup(1);
    await backup.appendToken(2, Buffer.from('another token 2'));
    Object.assign(world.store, {
      loadTokens: backup.loadTokens.bind(backup),
      appendToken: backup.appendToken.bind(backup),
    });
    await expect(tokens.refresh()).rejects.toThrow(TokenLogError);
    expect(await backup.loadTokens(0, 9)).toHaveLength(2);
  });

  test('gets the lost tokens back from members, where no domain-manager held them', async () => {
    await rotatedTwice();
    const all = await world.store.loadTokens(0, 9);
    world.store = await restoreBackup(1);
    const { round } = newReplica();
    for (let i = 0; i < 2; i++) await round.run();
    expect(await world.store.loadTokens(0, 9)).toEqual(all);
  });

  test('is not built on when members know the lost tokens and do not give them: the status says what to do', async () => {
    await rotatedTwice();
    world.store = await restoreBackup(1);
    for (const worker of world.workers) worker.gives = Buffer.of();
    const { round, tokens } = newReplica();
    await round.run();
    expect(round.views[0]!.problem).toContain('restore the store');
    world.clock.advance(DAY);
    await round.run();
    expect(tokens.generation).toBe(1);
  });
});
