import { DamagedValueError } from '@keyfleet/shared/redis/stored-values';
import { Proposal } from '@keyfleet/shared/domain/proposal';
import { parseToken, withWitness } from '@keyfleet/shared/domain/token';
import {
  type Change,
  memberOf,
  rotation,
  signedBy,
  TestDomain,
  testSealKey,
  withOtherKeys,
} from '@keyfleet/test-support/domain';
import { anchor, DAY, foundedReplica, newReplica, resetWorld, world } from '@keyfleet/test-support/replicas';
import { beforeEach, describe, expect, test } from 'vitest';
import { MemoryStore } from './store/memory-store.ts';
import { TokenLog, TokenLogError } from './token-log.ts';

beforeEach(resetWorld);

/** What was `store` is `other` from now on. */
function goOnAs(store: object, other: MemoryStore): void {
  for (const name of ['loadTokens', 'findToken', 'restoreToken', 'replaceToken'] as const)
    Object.assign(store, { [name]: (...asked: never[]) => Reflect.apply(other[name], other, asked) });
}

/** The domain's tokens, and a replica that has read them. */
async function knownFrom(domain: TestDomain) {
  const store = new MemoryStore(domain.clock);
  for (const [i, token] of domain.tokens.entries()) await store.appendToken(i + 1, token);
  const putBack: number[] = [];
  const open = () =>
    new TokenLog({
      store,
      anchor: domain.anchor,
      clock: domain.clock,
      monotonicClock: domain.clock,
      onPutBack: (generation) => putBack.push(generation),
    });
  const tokens = open();
  await tokens.refresh();
  return { store, tokens, putBack, open };
}

/** Of that generation, by the same maker, with a witness of its own. */
function anotherOf(domain: TestDomain, generation: number): Buffer {
  return domain.witnessed(withOtherKeys(domain.tokens[generation - 1]!, domain.identities.get('hsm-1')!));
}

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
        anchor,
        clock: world.clock,
        monotonicClock: world.clock,
        onRestored: (from, to) => restored.push(from, to),
      });
      await tokens.refresh();
      goOnAs(world.store, backup);
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
    const tokens = new TokenLog({ store, anchor, clock, monotonicClock });
    await tokens.refresh();
    const emptied = await restoreBackup(0);
    goOnAs(world.store, emptied);
    await tokens.refresh();
    expect(tokens.generation).toBe(3);
    expect(await emptied.loadTokens(0, 9)).toEqual([]);
  });

  test('and was built on meanwhile is refused by a replica that held other tokens', async () => {
    const domain = new TestDomain({ members: 3 });
    domain.rotate();
    domain.rotate();
    const { store, tokens } = await knownFrom(domain);
    const backup = new MemoryStore(domain.clock);
    const other = anotherOf(domain, 2);
    for (const [i, token] of [domain.tokens[0]!, other].entries()) await backup.appendToken(i + 1, token);
    goOnAs(store, backup);
    await expect(tokens.refresh()).rejects.toThrow(TokenLogError);
    expect(await backup.loadTokens(1, 9)).toEqual([other]);
  });

  test('and got a lost token again with the word of another member is the same: the hash does not cover that', async () => {
    const domain = new TestDomain({ members: 3 });
    domain.rotate();
    domain.rotate();
    const told = (index: number, memberId: string): Buffer => {
      const token = parseToken(domain.tokens[index]!);
      return withWitness(token, domain.checkBy(memberId, token.made));
    };
    for (const [memberId, counts] of [
      ['hsm-3', true],
      ['hsm-1', false],
    ] as const) {
      for (const at of [1, 2]) {
        const { store, tokens, putBack } = await knownFrom(domain);
        const backup = new MemoryStore(domain.clock);
        // At 1 it lacks the last token, at 2 that is the one.
        const again = domain.tokens.slice(0, at).concat(told(at, memberId));
        for (const [i, token] of again.entries()) await backup.appendToken(i + 1, token);
        goOnAs(store, backup);
        for (let i = 0; i < 2; i++) await tokens.refresh();
        const expected = counts ? [...again, ...domain.tokens.slice(at + 1)] : domain.tokens;
        expect(putBack).toEqual(counts ? [] : [at + 1]);
        expect(await backup.loadTokens(0, 9)).toEqual(expected);
        expect(tokens.page(0)).toEqual(expected);
      }
    }
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

describe('what somebody put in the place of a token', () => {
  const junk = Buffer.from('junk');
  const domain = new TestDomain({ members: 3 });
  for (let i = 0; i < 4; i++) domain.rotate();

  /** Looks at each of the five once. */
  async function compareAll(tokens: TokenLog): Promise<void> {
    for (let i = 0; i < 5; i++) await tokens.compareOne();
  }

  test.each([1, 3, 5])('gives way to the token that a replica has in memory: %i', async (generation) => {
    const { store, tokens, putBack, open } = await knownFrom(domain);
    const shown = domain.tokens[generation - 1]!;
    for (const one of [junk, Buffer.of(), parseToken(shown).made, domain.tokens[generation % 5]!]) {
      await store.replaceToken(generation, shown, one);
      await compareAll(tokens);
      expect(await store.loadTokens(0, 9)).toEqual(domain.tokens);
    }
    expect(putBack).toEqual([generation, generation, generation, generation]);
    const started = open();
    await started.refresh();
    expect(started.generation).toBe(5);
  });

  test('of several gives way, and so does all that was put after the first', async () => {
    const { store, tokens, putBack } = await knownFrom(domain);
    for (const generation of [4, 2]) await store.replaceToken(generation, domain.tokens[generation - 1]!, junk);
    await compareAll(tokens);
    expect(putBack).toEqual([2, 4]);
    expect(await store.loadTokens(0, 9)).toEqual(domain.tokens);
  });

  test('stays if it is a genuine one, and so does what follows it: a replica that has another says so each time', async () => {
    const { store, tokens, putBack } = await knownFrom(domain);
    const other = anotherOf(domain, 3);
    await store.replaceToken(3, domain.tokens[2]!, other);
    await store.replaceToken(4, domain.tokens[3]!, junk);
    await compareAll(tokens).catch(() => {});
    for (let i = 0; i < 6; i++)
      await expect(tokens.compareOne()).rejects.toThrow('the store holds another domain token 3 than before');
    expect(await store.loadTokens(2, 2)).toEqual([other, junk]);
    expect(putBack).toEqual([]);
    await store.replaceToken(3, other, domain.tokens[2]!);
    await compareAll(tokens);
    expect(await store.loadTokens(0, 9)).toEqual(domain.tokens);
  });

  test('is said if the store does not let it be put back', async () => {
    const { store, tokens } = await knownFrom(domain);
    await store.replaceToken(2, domain.tokens[1]!, junk);
    Object.assign(store, { replaceToken: () => Promise.reject(new Error('NOPERM')) });
    await tokens.compareOne();
    for (let i = 0; i < 2; i++) {
      await expect(tokens.compareOne()).rejects.toThrow(TokenLogError);
      await expect(tokens.compareOne()).rejects.toThrow('domain token 2, and it could not be put back: NOPERM');
    }
  });

  test('is said of them all, too', async () => {
    const { store, tokens, open } = await knownFrom(domain);
    Object.assign(store, {
      loadTokens: () => Promise.reject(new DamagedValueError('no list')),
      findToken: async () => undefined,
      restoreToken: () => Promise.reject(new Error('NOPERM')),
    });
    await expect(tokens.refresh()).rejects.toThrow(TokenLogError);
    await expect(tokens.refresh()).rejects.toThrow('place of the domain tokens (kf:domain:{');
    await expect(tokens.refresh()).rejects.toThrow('and they could not be put back: NOPERM');
    await expect(open().refresh()).rejects.toThrow('and this replica has none to put back');
  });

  test('stays if the store is not the one that had the token', async () => {
    const { store, tokens, putBack } = await knownFrom(domain);
    await store.replaceToken(2, domain.tokens[1]!, junk);
    Object.assign(store, { replaceToken: async () => false });
    await compareAll(tokens);
    expect(await store.findToken(2)).toEqual(junk);
    expect(putBack).toEqual([]);
  });
});

test('what somebody put after the tokens is none, stops changes, and takes nothing away from those before it', async () => {
  const { tokens: founded } = await foundedReplica();
  await world.store.appendToken(2, Buffer.from('x'));
  await expect(founded.refresh()).rejects.toThrow('token 2 does not verify');
  const { tokens } = newReplica();
  await expect(tokens.refresh()).rejects.toThrow('token 2 does not verify');
  expect(tokens.generation).toBe(1);
});

describe('a token that somebody put into the store', () => {
  const domain = new TestDomain({ members: 4 });
  const inSafe = domain.newHsm('offline');
  const newcomer = domain.newHsm('newcomer');
  const body = { admit: [{ ...memberOf(inSafe), offline: true }], remove: ['hsm-4'] } as const;
  domain.hsms.pop();
  domain.step({ name: 'ModifyMembers', body: { admit: [...body.admit], remove: [...body.remove] } });
  /** hsm-1 makes it of hsm-1, hsm-2, hsm-3 and offline; hsm-4 was one before. */
  const change: Change = { name: 'ModifyMembers', body: { admit: [memberOf(newcomer)], remove: ['hsm-3'] } };
  const token = parseToken(domain.make(change));

  async function stored(bytes: Uint8Array, of = domain): Promise<string> {
    const store = new MemoryStore(of.clock);
    for (const [i, one] of [...of.tokens, bytes].entries()) await store.appendToken(i + 1, one);
    const tokens = new TokenLog({ store, anchor: of.anchor, clock: of.clock, monotonicClock: of.clock });
    const problem = await tokens.refresh().catch((error: Error) => error.message);
    expect(tokens.generation).toBe(of.tokens.length + (problem === undefined ? 1 : 0));
    return problem ?? 'counts';
  }
  const checkedBy = (memberId: string, said: Parameters<TestDomain['checkBy']>[2] = {}) =>
    domain.checkBy(memberId, token.made, said);

  test('counts with the signature of one that was a member before it and is one after it, and of nobody else', async () => {
    expect(await stored(withWitness(token, checkedBy('hsm-2')))).toBe('counts');
    expect(await stored(token.made)).toContain('no other member confirms token 3, which hsm-1 made');
    const maker = checkedBy('hsm-1');
    for (const witness of [
      maker,
      ...['hsm-3', 'hsm-4', 'offline', 'newcomer'].map((memberId) => checkedBy(memberId)),
      checkedBy('hsm-2', { tokenHash: parseToken(domain.tokens[1]!).hash }),
      checkedBy('hsm-2', { domain: 'other' }),
      checkedBy('hsm-1', { memberId: 'hsm-2' }),
    ]) {
      expect(await stored(withWitness(token, witness))).toContain('no member that may say so has signed');
    }
    expect(await stored(withWitness(token, Buffer.from('none')))).toContain('token 3 does not verify');
  });

  test('counts without that where those who may change the members sign that its maker’s word is enough', async () => {
    const { alice, people, scheduler } = domain;
    const waiver = (binding: object, signers = people, of: Change = rotation) =>
      signedBy({ ...domain.command(of, binding), unwitnessed: true }, signers);
    const loses: Change = { name: 'ModifyMembers', body: { admit: [], remove: ['hsm-2', 'hsm-3'] } };
    for (const one of [waiver({}), waiver({}, people, loses)]) {
      expect(await stored(withWitness(token, one))).toBe('counts');
    }
    const previousHash = parseToken(domain.tokens[0]!).hash;
    for (const one of [
      waiver({ preparer: 'hsm-2' }),
      waiver({}, [alice]),
      waiver({}, [scheduler]),
      waiver({ generation: 1, previousHash }),
      waiver({ previousHash }),
      waiver({ domain: 'other' }),
      signedBy(domain.command(rotation), people),
      Proposal.encode(token.proposal),
    ]) {
      expect(await stored(withWitness(token, one))).toContain('token 3 does not verify');
    }
  });

  test('has no witness if it needs none', async () => {
    const alone = new TestDomain({ members: 1 });
    const made = parseToken(alone.make(rotation));
    const check = alone.checkBy('hsm-1', made.made);
    expect(await stored(made.made, alone)).toBe('counts');
    expect(await stored(withWitness(made, check), alone)).toContain('token 2 has a witness and needs none');
    const another = domain.newHsm('hsm-2', domain.identities.get('hsm-2')!.seal(testSealKey));
    another.install(domain.tokens);
    const waived = { ...domain.command(rotation, { preparer: 'hsm-2' }), unwitnessed: true };
    const own = parseToken(another.prepare(signedBy(waived, domain.people), domain.tokens.at(-1)));
    expect(await stored(own.made)).toBe('counts');
    expect(await stored(withWitness(own, domain.checkBy('hsm-1', own.made)))).toContain('has a witness and needs none');
  });
});
