import { CHANGEOVER_MS } from '@keyfleet/shared/domain/state';
import { type Change, memberOf, TestClock, testRules } from '@keyfleet/test-support/domain';
import {
  alice,
  bob,
  command,
  DAY,
  domainKeys,
  foundedReplica,
  rotated,
  runPass,
  LocalWorker,
  newReplica,
  type Replica,
  resetWorld,
  scheduler,
  signed,
  world,
} from '@keyfleet/test-support/replicas';
import { beforeEach, describe, expect, test } from 'vitest';
import { latenessOf } from './changeover.ts';
import { signServedTime } from './served-time.ts';

/** As in reseal-passes.ts. */
const COPYING_MS = 60_000;

beforeEach(resetWorld);

describe('retirement', () => {
  /** hsm-2 leaves, and the first pass reseals what there is. */
  async function removed(): Promise<Replica> {
    const replica = await rotated();
    const removal = command(replica, { name: 'ModifyMembers', body: { admit: [], remove: ['hsm-2'] } });
    await replica.proposals.propose(signed(removal, [alice, bob]));
    await replica.round.run();
    return replica;
  }

  test('after a removal older domain keys are retired by a pass that began when nothing could come under them', async () => {
    const replica = await removed();
    // Stopped, as docs/ceremony.md requires.
    world.workers[1]!.down = true;
    await runPass(replica, 7);
    await runPass(replica, 0);
    await replica.round.run();
    expect(world.asked).toEqual([]);
    world.clock.advance(2 * CHANGEOVER_MS - 1);
    await replica.round.run();
    expect(world.asked).toEqual([]);
    expect(domainKeys(replica)).toEqual(['1 deactivated', '2 deactivated', '3 active']);

    world.clock.advance(1);
    await runPass(replica, 1);
    await replica.round.run();
    expect(domainKeys(replica)).toEqual(['1 deactivated', '2 deactivated', '3 active']);
    world.clock.advance(COPYING_MS);
    await runPass(replica, 0);
    await replica.round.run();
    expect(domainKeys(replica)).toEqual(['1 retired', '2 retired', '3 active']);
    expect(world.workers[0]!.hsm.describe().generation).toBe(replica.tokens.generation);
    await replica.round.run();
    expect(world.asked).toEqual([]);
  });

  test('a pass that proves does not begin while what the one before it resealed may be copied as it was', async () => {
    const replica = await removed();
    world.clock.advance(2 * CHANGEOVER_MS);
    await runPass(replica, 1);
    for (const { round } of [replica, newReplica()]) {
      await round.run();
      world.clock.advance(COPYING_MS - 1);
      await round.run();
      expect(world.asked).toEqual([]);
    }
    await runPass(replica, 0);
    await replica.round.run();
    expect(domainKeys(replica)).toEqual(['1 retired', '2 retired', '3 active']);
  });

  test('a clock that is set forward makes that wait no shorter', async () => {
    const replica = await removed();
    const running = new TestClock();
    world.monotonicClock = running;
    const successor = newReplica();
    world.clock.advance(2 * CHANGEOVER_MS);
    await runPass(replica, 1);
    await successor.round.run();
    world.clock.advance(COPYING_MS);
    await successor.round.run();
    expect(world.asked).toEqual([]);
    running.advance(COPYING_MS);
    await successor.round.run();
    expect(world.asked).not.toEqual([]);
  });

  test('a pass that a replica with a wrong clock began proves nothing', async () => {
    const replica = await removed();
    world.clock.advance(3_600_000);
    await runPass(replica, 0);
    await runPass(replica, 0);
    world.clock.advance(-3_600_000);
    await newReplica().round.run();
    expect(new Set(world.asked.map(({ pass }) => pass))).toEqual(new Set([3]));
    await replica.round.run();
    expect(domainKeys(replica)).toEqual(['1 deactivated', '2 deactivated', '3 active']);
  });

  test('a preparer that dates the removal back does not shorten the wait, which begins when the token is seen', async () => {
    const slow = new TestClock();
    world.workers[0] = new LocalWorker('hsm-1', slow);
    const replica = await foundedReplica();
    world.clock.advance(DAY / 2);
    const removal = command(replica, { name: 'ModifyMembers', body: { admit: [], remove: ['hsm-2'] } });
    await replica.proposals.propose(signed(removal, [alice, bob]));
    await replica.round.run();
    expect(replica.tokens.head!.state.madeAt).toBe(slow.now());
    await runPass(replica, 0);
    await replica.round.run();
    expect(domainKeys(replica)).toEqual(['1 deactivated', '2 active']);

    // A replica that sees it for the first time now waits anew, since it cannot know.
    world.clock.advance(2 * CHANGEOVER_MS - 1);
    const successor = newReplica();
    await runPass(successor, 0);
    await successor.round.run();
    expect(domainKeys(successor)).toEqual(['1 deactivated', '2 active']);
    world.clock.advance(2 * CHANGEOVER_MS);
    for (let i = 0; i < 2; i++) await runPass(successor, 0);
    await successor.round.run();
    expect(domainKeys(successor)).toEqual(['1 retired', '2 active']);
  });

  /** A domain-manager that never lives longer than three minutes; each time all shards are worked on. */
  async function restartedOften(times: number): Promise<Replica> {
    let replica = newReplica();
    for (let i = 0; i < times; i++) {
      for (let minute = 0; minute < 3; minute++) {
        await runPass(replica, 0);
        world.clock.advance(60_000);
      }
      await replica.round.run();
      replica = newReplica();
    }
    return replica;
  }

  test('a domain-manager that is restarted every few minutes retires all the same: what it served counts', async () => {
    await removed();
    const replica = await restartedOften(6);
    expect(domainKeys(await refreshed(replica))).toEqual(['1 deactivated', '2 deactivated', '3 active']);
    expect(domainKeys(await refreshed(await restartedOften(2)))).toEqual(['1 retired', '2 retired', '3 active']);
  });

  test('the time in which no domain-manager ran is none of the wait', async () => {
    const replica = await removed();
    await runPass(replica, 0);
    world.clock.advance(DAY / 2);
    const successor = newReplica();
    for (let i = 0; i < 3; i++) await runPass(successor, 0);
    await successor.round.run();
    expect(domainKeys(successor)).toEqual(['1 deactivated', '2 deactivated', '3 active']);
  });

  test('a writer of the store adds nothing to the wait that was served: it is signed, and for one token', async () => {
    await removed();
    const { head } = await refreshed(newReplica()).then(({ tokens }) => tokens);
    const token = { domain: 'test', tokenHash: Buffer.from(head!.hash), servedMs: DAY };
    const { generation } = head!.state;
    const forged = signServedTime(token, { operatorId: scheduler.operatorId, privateKey: alice.privateKey });
    const ofAnother = signServedTime({ ...token, tokenHash: Buffer.alloc(32) }, scheduler);
    for (const planted of [forged, ofAnother, Buffer.from('{}')]) {
      await world.store.putSighting(generation, planted);
      const replica = newReplica();
      for (let i = 0; i < 4; i++) await runPass(replica, 0);
      expect(domainKeys(replica)).toEqual(['1 deactivated', '2 deactivated', '3 active']);
    }
  });

  async function refreshed(replica: Replica): Promise<Replica> {
    await replica.tokens.refresh();
    return replica;
  }

  test('a rotation after the removal puts it off by minutes: the pass is under its key, and that key stays', async () => {
    const replica = await removed();
    world.clock.advance(DAY);
    await replica.round.run();
    await runPass(replica, 0);
    await replica.round.run();
    expect(domainKeys(replica)).toEqual(['1 deactivated', '2 deactivated', '3 deactivated', '4 active']);
    world.clock.advance(CHANGEOVER_MS);
    await runPass(replica, 0);
    await replica.round.run();
    expect(domainKeys(replica)).toEqual(['1 retired', '2 retired', '3 deactivated', '4 active']);
  });

  test('a key that was reinstated for a restored backup is retired again after a pass of its own', async () => {
    const replica = await removed();
    await runPass(replica, 0);
    world.clock.advance(2 * CHANGEOVER_MS);
    await runPass(replica, 0);
    await runPass(replica, 0);
    expect(domainKeys(replica)).toEqual(['1 retired', '2 retired', '3 active']);

    const ids = [replica.tokens.head!.state.domainKeys[0]!.id];
    const reinstate = command(replica, { name: 'ReinstateDomainKeys', body: { ids } });
    await replica.proposals.propose(signed(reinstate, [alice, bob]));
    for (let i = 0; i < 3; i++) await replica.round.run();
    expect(domainKeys(replica)).toEqual(['1 deactivated', '2 retired', '3 active']);

    world.clock.advance(CHANGEOVER_MS);
    await runPass(replica, 5);
    await replica.round.run();
    world.clock.advance(COPYING_MS);
    await runPass(replica, 0);
    await replica.round.run();
    expect(domainKeys(replica)).toEqual(['1 retired', '2 retired', '3 active']);
  });

  /** hsm-3 and hsm-4 are admitted and hsm-2 removed; from then on hsm-3 says that it has seen nothing of it. */
  async function removedBesideLiar(): Promise<Replica> {
    const replica = await foundedReplica();
    const carryOut = async (change: Change) => {
      await replica.proposals.propose(signed(command(replica, change), [alice, bob]));
      await replica.round.run();
    };
    world.workers.push(new LocalWorker('hsm-4', world.clock));
    const admit = world.workers.slice(2).map(({ hsm }) => memberOf(hsm));
    await carryOut({ name: 'ModifyMembers', body: { admit, remove: [] } });
    world.workers[2]!.claims = { generation: 2, activeGeneration: 1 };
    await carryOut({ name: 'ModifyMembers', body: { admit: [], remove: ['hsm-2'] } });
    return replica;
  }

  test('a member that always says it has not switched delays no retirement, and is named', async () => {
    const replica = await removedBesideLiar();
    const { round, tokens } = replica;
    for (let i = 0; i < 3; i++) await round.run();
    expect(world.asked).toEqual([]);
    expect(world.late).toEqual([]);
    world.clock.advance(2 * CHANGEOVER_MS);
    for (let i = 0; i < 3; i++) await runPass(replica, 0);
    await round.run();
    expect(domainKeys(replica)).toEqual(['1 retired', '3 active']);
    expect(world.late).toEqual([
      'hsm-3:1 still seals under the domain key of generation 1, it says, ten minutes after that of 3 was made: the domain-manager no longer waits for it',
    ]);

    world.clock.advance(DAY);
    await round.run();
    expect(domainKeys(replica)).toEqual(['1 retired', '3 deactivated', '5 active']);
    expect(tokens.generation).toBe(5);
  });

  test('a removed member that says it is the one that stays delays no retirement', async () => {
    const replica = await foundedReplica();
    const [removedOne, other] = world.workers;
    const removal = command(replica, { name: 'ModifyMembers', body: { admit: [], remove: ['hsm-1'] } }, 'hsm-2');
    await replica.proposals.propose(signed(removal, [alice, bob]));
    await replica.round.run();
    removedOne!.claims = other!.hsm.describe();
    world.clock.advance(2 * CHANGEOVER_MS);
    for (let i = 0; i < 2; i++) await runPass(replica, 0);
    await replica.round.run();
    expect(domainKeys(replica)).toEqual(['1 retired', '2 active']);
  });

  test('the status names a member that is late, once it had the time to change over', async () => {
    const { round, tokens } = await removedBesideLiar();
    const problems = (waitedMs: number) =>
      round.views.map((view) => latenessOf(tokens.head!.state, view, waitedMs) !== undefined);
    expect(problems(CHANGEOVER_MS - 1)).toEqual([false, false, false, false]);
    expect(problems(CHANGEOVER_MS)).toEqual([false, false, true, false]);
  });

  test('rules from before the command leave older domain keys as they are', async () => {
    const replica = await removed();
    const rules = testRules.filter(({ command: name }) => name !== 'RetireDomainKeys');
    const change = command(replica, { name: 'ModifyRules', body: { rules, backupHorizonMs: 0 } });
    await replica.proposals.propose(signed(change, [alice, bob]));
    await replica.round.run();
    world.clock.advance(3 * CHANGEOVER_MS);
    await runPass(replica, 0);
    await runPass(replica, 0);
    await replica.round.run();
    expect(domainKeys(replica)).toEqual(['1 deactivated', '2 deactivated', '3 active']);
  });
});
