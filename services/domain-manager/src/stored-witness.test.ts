import type { Hsm } from '@keyfleet/hsm-worker/boundary/hsm';
import { proposalId } from '@keyfleet/shared/domain/proposal';
import { parseToken, tokenHash } from '@keyfleet/shared/domain/token';
import { signCheck, signHeld } from '@keyfleet/shared/domain/token-check';
import { createLog } from '@keyfleet/shared/log';
import {
  type Change,
  memberOf,
  rotation,
  sealedForNobody,
  sealedNotFor,
  signedBy,
  TestDomain,
  testSealKey,
  withOtherKeys,
} from '@keyfleet/test-support/domain';
import { newRotation, workerOf } from '@keyfleet/test-support/witnesses';
import { describe, expect, test } from 'vitest';
import { HELD_TOKENS } from '@keyfleet/hsm-worker/boundary/domain/held-chain';
import { DomainManagerEvents } from './events.ts';
import { MemoryStore } from './store/memory-store.ts';
import { confirmStored } from './stored-witness.ts';
import { DeniedTokenError, TokenLog, TokenLogError } from './token-log.ts';
import { type Worker, WorkerRefusedError } from './workers.ts';

const events = new DomainManagerEvents(createLog({ name: 'test', level: 'silent' }));
const { domain, maker, second, third, good, endsTheDomain } = await newRotation();

describe('a token that somebody put into the store', () => {
  const checkOf = (hsm: Hsm, token = good): Buffer => hsm.check(token);
  const denying = (hsm: Hsm): Worker =>
    workerOf(hsm, { check: async () => Promise.reject(new WorkerRefusedError('cannot-open')) });

  /** A domain-manager with these workers, and a store in which the second token lies. */
  async function finding(
    token: Buffer,
    workers: readonly Worker[],
    { check, of = domain }: { check?: Uint8Array; of?: TestDomain } = {},
  ) {
    const { anchor, clock } = of;
    const store = new MemoryStore(clock);
    await store.appendToken(1, of.tokens[0]!);
    await store.appendToken(2, token, check);
    const confirm = (tokens: readonly Buffer[], known: number) =>
      confirmStored(tokens, known, { workers, store, events });
    const start = () => new TokenLog({ store, anchor, confirmStored: confirm, clock, monotonicClock: clock });
    return { store, start };
  }
  const found = async (...args: Parameters<typeof finding>): Promise<string> => {
    const tokens = (await finding(...args)).start();
    const error = await tokens.refresh().catch((problem: unknown) => problem as Error);
    // Whoever denies the second holds the first.
    expect(tokens.generation).toBe(error === undefined ? 2 : 1);
    return error === undefined ? 'believed' : error instanceof DeniedTokenError ? 'Denied' : error.name;
  };

  test('is not believed if members in reach cannot open it, whoever signed a check of something else', async () => {
    const workers = [workerOf(maker), workerOf(second), workerOf(third)];
    expect(await found(endsTheDomain, workers)).toBe('Denied');
    const otherDomain = new TestDomain({ members: 3 });
    const checks = [
      checkOf(second),
      otherDomain.hsms[1]!.check(otherDomain.prepare(rotation)),
      Buffer.from('rubbish'),
      signCheck({ domain: 'test', memberId: 'hsm-1', tokenHash: parseToken(endsTheDomain).hash }, (message) =>
        domain.identities.get('hsm-1')!.sign(message),
      ),
    ];
    for (const check of checks) expect(await found(endsTheDomain, workers, { check })).toBe('Denied');
    expect(await found(good, workers)).toBe('believed');
  });

  test('is believed by the check beside it, so a member that lies keeps no domain-manager from starting', async () => {
    expect(await found(good, [workerOf(maker), denying(second)])).toBe('Denied');
    expect(await found(good, [workerOf(maker), denying(second)], { check: checkOf(second) })).toBe('believed');
    expect(await found(good, [denying(second), workerOf(third)])).toBe('believed');
    const { store, start } = await finding(good, [denying(second), workerOf(third)]);
    await start().refresh();
    expect(await store.findCheck()).toEqual(third.check(good));
  });

  test('is believed if nobody can say: none is in reach, or all have just started', async () => {
    const justStarted = workerOf(domain.newHsm('hsm-2', second.sealedIdentity()));
    expect(await found(good, [workerOf(maker), justStarted])).toBe('believed');
    expect(await found(good, [])).toBe('believed');
  });

  test('is believed if those in reach hold later ones, which the store lost', async () => {
    const ahead = new TestDomain({ members: 3 });
    const [token] = [ahead.rotate(), ahead.rotate()];
    expect(
      await found(
        token!,
        ahead.hsms.map((hsm) => workerOf(hsm)),
        { of: ahead },
      ),
    ).toBe('believed');
  });

  test('makes no member open it again each time that somebody asks, and is forgotten once it is removed', async () => {
    let asked = 0;
    const check = async (token: Uint8Array) => (asked++, workerOf(second).check(token));
    const { store, start } = await finding(endsTheDomain, [workerOf(second, { check })]);
    const tokens = start();
    for (let i = 0; i < 3; i++) await expect(tokens.refresh()).rejects.toThrow('a domain token 2 that hsm-1 made');
    expect(asked).toBe(1);
    domain.clock.advance(5_000);
    await expect(tokens.refresh()).rejects.toThrow(TokenLogError);
    expect(asked).toBe(2);
    const load = store.loadTokens.bind(store);
    Object.assign(store, { loadTokens: async (after: number) => (after === 0 ? (await load(0, 9)).slice(0, 1) : []) });
    await tokens.refresh();
    expect(tokens.generation).toBe(1);
  });

  test('is not believed if two members sign that they hold a later one, and not this one any more', async () => {
    const ahead = new TestDomain({ members: 3 });
    const token = ahead.rotate();
    while (ahead.generation < HELD_TOKENS + 3) ahead.rotate();
    const workers = ahead.hsms.map((hsm) => workerOf(hsm));
    const { start } = await finding(token, workers, { of: ahead });
    const tokens = start();
    await expect(tokens.refresh()).rejects.toThrow(`sign that they hold domain token ${HELD_TOKENS + 3}`);
    expect(tokens.generation).toBe(0);
    expect(await found(token, workers.slice(0, 1), { of: ahead })).toBe('believed');
  });

  test('is denied also if another lies on top of it, and those before it count', async () => {
    const owned = domain.identities.get('hsm-1')!;
    const opensForItself = sealedNotFor(['hsm-2', 'hsm-3'], good, owned);
    const hostile = domain.newHsm('hsm-1', owned.seal(testSealKey));
    hostile.install([domain.tokens[0]!, opensForItself]);
    const binding = { generation: 2, previousHash: tokenHash(opensForItself) };
    const onTop = hostile.prepare(signedBy(domain.command(rotation, binding), domain.people), opensForItself);
    const { store, start } = await finding(opensForItself, [workerOf(second), workerOf(third)]);
    await store.appendToken(3, onTop);
    const tokens = start();
    await expect(tokens.refresh()).rejects.toThrow('a domain token 2 that hsm-1 made');
    expect(tokens.generation).toBe(1);
  });

  test('is denied by who signs that it holds another of that generation', async () => {
    const forking = new TestDomain({ members: 3 });
    const [genuine] = [forking.rotate()];
    const other = await sealedForNobody(genuine, (body) => forking.identities.get('hsm-1')!.sign(body));
    const workers = forking.hsms.slice(1).map((hsm) => workerOf(hsm));
    expect(await found(other, workers, { of: forking })).toBe('Denied');
    expect(await found(genuine, workers, { of: forking })).toBe('believed');
  });

  test('is asked about again once it was believed because nobody could say, and is never given up once one confirms it', async () => {
    const reach: Worker[] = [];
    const { store, start } = await finding(good, reach);
    const tokens = start();
    await tokens.refresh();
    expect(tokens.generation).toBe(2);
    // One at a time, so that members take the first.
    expect(tokens.page(0)).toHaveLength(1);
    reach.push(denying(second));
    domain.clock.advance(5_000);
    await expect(tokens.refresh()).rejects.toThrow(DeniedTokenError);
    expect(tokens.generation).toBe(1);
    reach.push(workerOf(third));
    domain.clock.advance(5_000);
    await tokens.refresh();
    expect(tokens.page(0)).toHaveLength(2);
    expect(await store.findCheck()).toEqual(third.check(good));
    await store.putCheck(2, Buffer.from('rubbish'));
    reach.pop();
    domain.clock.advance(5_000);
    await tokens.refresh();
    expect(tokens.generation).toBe(2);
  });

  test('is given up by a domain-manager that reached nobody when it found it, once members deny it', async () => {
    const reach: Worker[] = [];
    const { store, start } = await finding(endsTheDomain, reach);
    const tokens = start();
    await tokens.refresh();
    expect(tokens.generation).toBe(2);
    reach.push(workerOf(second), workerOf(third));
    domain.clock.advance(5_000);
    await expect(tokens.refresh()).rejects.toThrow(DeniedTokenError);
    expect(tokens.generation).toBe(1);
    expect(tokens.head!.token).toEqual(domain.tokens[0]);
    expect(tokens.generationOf(proposalId(parseToken(endsTheDomain).proposal))).toBeUndefined();
    expect(await store.loadTokens(0, 9)).toHaveLength(2);
  });

  test('is neither put back nor missed by a domain-manager that only believed it, when somebody takes it out', async () => {
    const { store, start } = await finding(endsTheDomain, []);
    const tokens = start();
    await tokens.refresh();
    expect(tokens.generation).toBe(2);
    const mended = new MemoryStore(domain.clock);
    await mended.appendToken(1, domain.tokens[0]!);
    Object.assign(store, {
      loadTokens: mended.loadTokens.bind(mended),
      restoreToken: mended.restoreToken.bind(mended),
    });
    await tokens.refresh();
    expect(tokens.generation).toBe(1);
    await mended.appendToken(2, good);
    await tokens.refresh();
    expect(tokens.head!.token).toEqual(good);
  });

  test('is not believed while members in reach have not the one before it yet, and can tell later', async () => {
    const grown = new TestDomain({ members: 3 });
    const late = grown.newHsm('hsm-2', grown.hsms[1]!.sealedIdentity());
    late.install(grown.tokens);
    const token = grown.rotate();
    const bad = await sealedForNobody(grown.prepare(rotation), (body) => grown.identities.get('hsm-1')!.sign(body));
    const { store, start } = await finding(token, [workerOf(late)], { of: grown });
    await store.appendToken(3, bad);
    const tokens = start();
    await tokens.refresh();
    expect(tokens.generation).toBe(2);
    late.install([token]);
    grown.clock.advance(5_000);
    await expect(tokens.refresh()).rejects.toThrow('a domain token 3 that hsm-1 made');
    expect(tokens.generation).toBe(2);
  });

  test('that others have built on is believed, whatever an older token a member in reach confirms', async () => {
    const grown = new TestDomain({ members: 3 });
    const [token] = [grown.rotate(), grown.step(rotation, grown.people, grown.hsms[1]), grown.rotate()];
    const [, , third] = grown.hsms as [Hsm, Hsm, Hsm];
    const liar = workerOf(third, { describe: async () => ({ ...third.describe(), generation: 1 }) });
    const { store, start } = await finding(token!, [liar], { of: grown });
    for (const [i, later] of grown.tokens.slice(2).entries()) await store.appendToken(3 + i, later);
    const tokens = start();
    await tokens.refresh();
    expect(tokens.generation).toBe(3);
  });

  test('is not denied by its maker alone, which may say that it holds any other', async () => {
    const forking = new TestDomain({ members: 3 });
    const [first] = forking.hsms as [Hsm];
    const token = forking.prepare(rotation, forking.people, first);
    const held = { domain: 'test', memberId: 'hsm-1', generation: 2, tokenHash: Buffer.alloc(32, 7) };
    const check = async () => signHeld(held, (message) => forking.identities.get('hsm-1')!.sign(message));
    expect(await found(token, [workerOf(first, { check })], { of: forking })).toBe('believed');
  });

  test('is denied if two members sign that they hold another, its maker one of them, whoever confirms it', async () => {
    const forking = new TestDomain({ members: 3 });
    const [first, other, former] = forking.hsms as [Hsm, Hsm, Hsm];
    // What the second was bound to before the removal of the third, which both install.
    const hidden = forking.prepare(rotation, forking.people, other);
    const removal: Change = { name: 'ModifyMembers', body: { admit: [], remove: ['hsm-3'] } };
    const genuine = forking.prepare(removal, forking.people, first);
    for (const hsm of [first, other]) hsm.install([genuine]);
    const workers = [first, other, former].map((hsm) => workerOf(hsm));
    expect(await found(hidden, workers, { of: forking })).toBe('Denied');
    expect(await found(hidden, workers.slice(1), { of: forking })).toBe('believed');
    expect(await found(genuine, workers, { of: forking })).toBe('believed');
  });

  test('is believed if its maker holds it and there are two members, whatever the other says', async () => {
    const two = new TestDomain({ members: 2 });
    const token = two.rotate();
    const [first, other] = two.hsms as [Hsm, Hsm];
    expect(await found(token, [denying(other), workerOf(first)], { of: two })).toBe('believed');
    const says = { ...first.describe() };
    const liar = workerOf(first, { describe: async () => says, check: async () => Promise.reject(new Error('no')) });
    expect(await found(token, [denying(other), liar], { of: two })).toBe('Denied');
  });

  test('that others have built on is not denied by who says that it is older', async () => {
    const grown = new TestDomain({ members: 3 });
    const [token] = [grown.rotate(), grown.step(rotation, grown.people, grown.hsms[1])];
    const [first, , third] = grown.hsms as [Hsm, Hsm, Hsm];
    const older = { ...third.describe(), generation: 1 };
    const liar = { ...denying(third), describe: async () => older };
    const { store, start } = await finding(token!, [liar], { of: grown });
    await store.appendToken(3, grown.tokens[2]!);
    const tokens = start();
    await tokens.refresh();
    expect(tokens.generation).toBe(3);
    expect(first.describe().generation).toBe(3);
  });

  test('is believed whatever a member says that the chain removes', async () => {
    const shrinking = new TestDomain({ members: 2 });
    const first = shrinking.rotate();
    const removal: Change = { name: 'ModifyMembers', body: { admit: [], remove: ['hsm-2'] } };
    const { store, start } = await finding(first, [denying(shrinking.hsms[1]!), workerOf(shrinking.hsms[0]!)], {
      of: shrinking,
    });
    await store.appendToken(3, shrinking.step(removal));
    const tokens = start();
    await tokens.refresh();
    expect(tokens.generation).toBe(3);
  });

  test.each([2, 3])(
    'of %i members, admits others while all but its maker leave: not while these could compare',
    async (count) => {
      const renewed = new TestDomain({ members: count });
      const [stays, ...leave] = renewed.hsms as [Hsm, ...Hsm[]];
      const newcomers = [4, 5].map((number) => renewed.newHsm(`hsm-${number}`));
      const body = { admit: newcomers.map(memberOf), remove: leave.map(({ memberId }) => memberId) };
      const honest = renewed.prepare({ name: 'ModifyMembers', body }, renewed.people, stays);
      const token = withOtherKeys(honest, renewed.identities.get('hsm-1')!);
      const leavers = leave.map((hsm) => workerOf(hsm));
      const fleet = [stays, ...newcomers].map((hsm) => workerOf(hsm));
      const of = renewed;
      // Whether they have seen the domain yet or not, and whoever has made another token on top.
      expect(await found(token, [...fleet, ...leavers], { of })).toBe('Denied');
      for (const hsm of newcomers) hsm.install(renewed.tokens);
      expect(await found(token, [...fleet, ...leavers], { of })).toBe('Denied');
      expect(await found(token, leavers, { of })).toBe('Denied');
      const restarted = leave.map((hsm) => workerOf(renewed.newHsm(hsm.memberId, hsm.sealedIdentity())));
      expect(await found(token, [...fleet, ...restarted], { of })).toBe('Denied');
      expect(await found(token, fleet, { of })).toBe('believed');
      const check = newcomers[0]!.check(token);
      expect(await found(token, [...fleet, ...leavers], { of, check })).toBe('believed');
      for (const hsm of newcomers) hsm.install([token]);
      expect(await found(token, [...fleet, ...leavers], { of })).toBe('believed');
    },
  );

  test('makes nobody wait for members that do not answer', async () => {
    const check = () => new Promise<never>(() => {});
    const { start } = await finding(good, [workerOf(second, { check })]);
    const tokens = start();
    await tokens.refresh();
    expect(tokens.generation).toBe(0);
  });
});
