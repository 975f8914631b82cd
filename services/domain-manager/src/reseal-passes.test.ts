import { DAY, domainKeys, rotated, runPass, newReplica, resetWorld, world } from '@keyfleet/test-support/replicas';
import { beforeEach, describe, expect, test } from 'vitest';

/** As in reseal-passes.ts. */
const ASK_AGAIN_MS = 90_000;

beforeEach(resetWorld);

describe('resealing', () => {
  test('after a rotation every shard is queued once, and again only when nobody answers', async () => {
    const replica = await rotated();
    for (let i = 0; i < 3; i++) await replica.round.run();
    expect(new Set(world.asked.map(({ shard }) => shard)).size).toBe(world.asked[0]!.shards);
    expect(world.asked).toHaveLength(world.asked[0]!.shards);
    world.clock.advance(ASK_AGAIN_MS);
    await replica.round.run();
    expect(world.asked).toHaveLength(world.asked[0]!.shards * 2);
  });

  test('a replica that takes over asks for a pass only if nobody works on it', async () => {
    await rotated();
    await newReplica().round.run();
    const asked = world.asked.splice(0);
    const working = { resealed: 1, remaining: 0, parts: 1, standing: 'in-part' } as const;
    const successor = newReplica();
    await successor.round.run();
    world.clock.advance(29_000);
    await world.store.report(asked[0]!, working);
    await successor.round.run();
    world.clock.advance(ASK_AGAIN_MS - 1);
    await successor.round.run();
    expect(world.asked).toEqual([]);
    const last = newReplica();
    await last.round.run();
    world.clock.advance(30_000);
    await last.round.run();
    expect(world.asked).toHaveLength(asked.length);
  });

  test('a pass that moves is not asked for again, however long it takes, and one that stops only for what is not done', async () => {
    const replica = await rotated();
    await replica.round.run();
    const asked = world.asked.splice(0);
    const report = (shard: number, parts: number, standing: 'in-part' | 'done') =>
      world.store.report(asked[shard]!, { resealed: parts, remaining: 0, parts, standing });
    await report(1, 1, 'done');
    for (let parts = 1; parts < 10; parts++) {
      await report(0, parts, 'in-part');
      await replica.round.run();
      world.clock.advance(ASK_AGAIN_MS - 1);
      await replica.round.run();
    }
    expect(world.asked).toEqual([]);
    world.clock.advance(ASK_AGAIN_MS);
    await replica.round.run();
    expect(world.asked.map(({ shard }) => shard)).toEqual(
      asked.map(({ shard }) => shard).filter((shard) => shard !== 1),
    );
  });

  test('a pass that lay in the store before there was its domain key is begun anew, whatever was reported of it', async () => {
    const { store } = world;
    await store.startPass(2, { pass: 1, shards: 2, startedAt: 1 });
    const done = { resealed: 0, remaining: 0, parts: 1, standing: 'done' } as const;
    for (const shard of [0, 1]) await store.report({ generation: 2, pass: 1, shard, shards: 2 }, done);
    const replica = await rotated();
    for (let i = 0; i < 2; i++) await replica.round.run();
    expect(await store.findReseal(2)).toMatchObject({ pass: 2, reports: new Map() });
    expect(world.asked).toHaveLength(world.asked[0]!.shards);
  });

  test('no domain key goes away by itself, however long ago nothing was found under it', async () => {
    const replica = await rotated();
    await runPass(replica, 7);
    await runPass(replica, 0);
    for (let day = 0; day < 3; day++) {
      world.clock.advance(DAY);
      await replica.round.run();
    }
    expect(domainKeys(replica)).toEqual([
      '1 deactivated',
      '2 deactivated',
      '3 deactivated',
      '4 deactivated',
      '5 active',
    ]);
  });
});
