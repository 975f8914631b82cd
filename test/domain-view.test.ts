import { plaintextPeers } from '@keyfleet/shared/grpc/peers';
import { newTokenSource } from '@keyfleet/proto/token-source';
import { type DomainFloor, openDomainFloor } from '@keyfleet/frontend/hsm/domain-floor';
import { DomainView } from '@keyfleet/frontend/hsm/domain-view';
import { tokenHash } from '@keyfleet/shared/domain/token';
import type { Checkpoint } from '@keyfleet/shared/domain/trust-anchor';
import { noNotices } from '@keyfleet/shared/notices';
import { memberOf, rotation, TestDomain } from '@keyfleet/test-support/domain';
import { until } from '@keyfleet/test-support/loopback-worker';
import { proofOf } from '@keyfleet/test-support/shown-tokens';
import { ShowsTokens } from '@keyfleet/test-support/shows-tokens';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';

const noFloor: DomainFloor = { lowest: undefined, raise: async () => {} };

function startView(
  domain: TestDomain,
  managers: readonly { address: string }[],
  { checkpoint, floor = noFloor }: { checkpoint?: Checkpoint; floor?: DomainFloor } = {},
) {
  const problems: unknown[] = [];
  const view = new DomainView({
    anchor: { ...domain.anchor, ...(checkpoint && { checkpoint }) },
    floor,
    managers: managers.map(({ address }) => newTokenSource(address, plaintextPeers.credentials)),
    workers: 1,
    notices: noNotices,
    onProblem: (_address, error) => problems.push(error),
  });
  /** The first member proves which token it has. */
  const proves = (of: TestDomain) => view.noteProof(memberOf(of.hsms[0]!), proofOf(of.hsms[0]!));
  return { view, problems, proves, [Symbol.asyncDispose]: () => view[Symbol.asyncDispose]() };
}

describe('the domain view', () => {
  test('follows the chain from the trust anchor as it grows', async () => {
    const domain = new TestDomain();
    await using manager = await ShowsTokens.start();
    manager.tokens = domain.tokens;
    await using follower = startView(domain, [manager]);
    await until(() => follower.view.state?.generation === 1);
    domain.rotate();
    follower.view.look();
    await until(() => follower.view.state?.generation === 2);
    expect(follower.problems).toEqual([]);
  });

  test('says when a member has left, and only then', async () => {
    const domain = new TestDomain();
    await using manager = await ShowsTokens.start();
    manager.tokens = domain.tokens;
    await using follower = startView(domain, [manager]);
    const heard: number[] = [];
    follower.view.onRemoval(() => heard.push(follower.view.state!.generation));
    await until(() => follower.view.state?.generation === 1);
    await follower.proves(domain);
    domain.rotate();
    domain.step({ name: 'ModifyMembers', body: { admit: [], remove: ['hsm-2'] } });
    domain.rotate();
    await follower.view.hear();
    await follower.proves(domain);
    expect(follower.view.state!.generation).toBe(4);
    domain.rotate();
    await follower.view.hear();
    await follower.proves(domain);
    expect(follower.view.state!.generation).toBe(5);
    expect(heard).toEqual([3]);
  });

  test('knows nothing from a domain-manager that shows another domain of the same name', async () => {
    await using manager = await ShowsTokens.start();
    manager.tokens = new TestDomain().tokens;
    await using follower = startView(new TestDomain(), [manager]);
    await until(() => follower.problems.length > 0);
    expect(follower.view.state).toBeUndefined();
  });

  test('keeps what it verified when a token does not follow', async () => {
    const domain = new TestDomain();
    const other = new TestDomain();
    other.rotate();
    await using manager = await ShowsTokens.start();
    manager.tokens = domain.tokens;
    await using follower = startView(domain, [manager]);
    await until(() => follower.view.state?.generation === 1);
    manager.tokens = [domain.tokens[0]!, other.tokens[1]!];
    follower.view.look();
    await until(() => follower.problems.length > 0);
    expect(follower.view.state?.generation).toBe(1);
  });

  test('asks the next domain-manager when one is away', async () => {
    const domain = new TestDomain();
    await using manager = await ShowsTokens.start();
    manager.tokens = domain.tokens;
    await using follower = startView(domain, [{ address: '127.0.0.1:1' }, manager]);
    await until(() => follower.view.state?.generation === 1);
    expect(follower.problems.length).toBeGreaterThan(0);
  });

  test('follows the chain past a domain-manager that withholds tokens', async () => {
    const domain = new TestDomain();
    await using withholding = await ShowsTokens.start();
    await using honest = await ShowsTokens.start();
    withholding.tokens = domain.tokens.slice(0, 1);
    honest.tokens = domain.tokens;
    await using follower = startView(domain, [withholding, honest]);
    await until(() => follower.view.state?.generation === 1);
    domain.rotate();
    await follower.view.hear();
    await follower.proves(domain);
    expect(follower.view.state!.generation).toBe(2);
    expect(follower.problems).toEqual([]);
  });

  test('looks again by itself until there is a domain', async () => {
    const domain = new TestDomain();
    await using manager = await ShowsTokens.start();
    await using follower = startView(domain, [manager]);
    await until(() => manager.asked > 1);
    manager.tokens = domain.tokens;
    await until(() => follower.view.state !== undefined);
  });
});

describe('a frontend that restarts, shown less of the chain than it knew', () => {
  /** hsm-2 is removed in generation 2; whoever is shown the beginning takes it for a member. */
  function removal(): TestDomain {
    const domain = new TestDomain();
    domain.step({ name: 'ModifyMembers', body: { admit: [], remove: ['hsm-2'] } });
    return domain;
  }

  test('relies on nothing before the newest token that it relied on before', async () => {
    await using directory = await mkdtempDisposable(join(tmpdir(), 'keyfleet-floor-'));
    const domain = removal();
    await using manager = await ShowsTokens.start();
    manager.tokens = domain.tokens;
    {
      const floor = await openDomainFloor(directory.path, 'test');
      await using before = startView(domain, [manager], { floor });
      await until(() => before.view.state?.generation === 2);
      await before.proves(domain);
    }
    manager.tokens = domain.tokens.slice(0, 1);
    const floor = await openDomainFloor(directory.path, 'test');
    expect(floor.lowest).toEqual({ generation: 2, hash: tokenHash(domain.tokens[1]!) });
    await using restarted = startView(domain, [manager], { floor });
    await until(() => restarted.view.problem?.includes('token 2 was known here before') === true);
    expect(restarted.view.verified).toBeUndefined();
    manager.tokens = domain.tokens;
    restarted.view.look();
    await until(() => restarted.view.state?.generation === 2);
  });

  test('takes no other token of a generation that it knew', async () => {
    await using directory = await mkdtempDisposable(join(tmpdir(), 'keyfleet-floor-'));
    const domain = removal();
    const floor = await openDomainFloor(directory.path, 'test');
    await floor.raise({ state: domain.hsms[0]!.installed!.state, hash: Buffer.alloc(32, 1) });
    await using manager = await ShowsTokens.start();
    manager.tokens = domain.tokens;
    await using follower = startView(domain, [manager], { floor: await openDomainFloor(directory.path, 'test') });
    await until(() =>
      follower.problems.some(
        (problem) => String(problem).includes('forked') || String(problem).includes('known before'),
      ),
    );
    expect(follower.view.verified).toBeUndefined();
  });

  test('a floor never falls, and a damaged one or one of another domain stops the start with one clear line', async () => {
    await using directory = await mkdtempDisposable(join(tmpdir(), 'keyfleet-floor-'));
    const { state } = removal().hsms[0]!.installed!;
    const floor = await openDomainFloor(directory.path, 'test');
    await floor.raise({ state, hash: Buffer.alloc(32, 1) });
    await floor.raise({ state: { ...state, generation: 1 }, hash: Buffer.alloc(32, 2) });
    expect((await openDomainFloor(directory.path, 'test')).lowest?.generation).toBe(2);
    await expect(openDomainFloor(directory.path, 'other')).rejects.toThrow("belongs to the domain 'test'");
    await writeFile(join(directory.path, 'domain-floor.json'), '{"domain":"test","generation":');
    await expect(openDomainFloor(directory.path, 'test')).rejects.toThrow('domain-floor.json is damaged');
  });

  test('relies on nothing before the trust anchor’s checkpoint, so that founders of once found nothing again', async () => {
    const domain = removal();
    const checkpoint = { generation: 2, hash: tokenHash(domain.tokens[1]!) };
    await using manager = await ShowsTokens.start();
    manager.tokens = domain.tokens.slice(0, 1);
    await using follower = startView(domain, [manager], { checkpoint });
    await until(() => follower.view.problem?.includes('token 2 was known here before') === true);
    manager.tokens = domain.tokens;
    follower.view.look();
    await until(() => follower.view.state?.generation === 2);
  });
});

describe('a frontend that a member shows to be behind', () => {
  afterEach(() => void vi.useRealTimers());

  test('uses no worker until it finds the token, and takes no former member’s word for it', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const domain = new TestDomain({ members: 3 });
    await using manager = await ShowsTokens.start();
    manager.tokens = domain.tokens.slice();
    await using follower = startView(domain, [manager]);
    await until(() => follower.view.state?.generation === 1);
    await follower.proves(domain);
    domain.rotate();

    const proof = { generation: 2, tokenHash: tokenHash(domain.tokens[1]!) };
    await follower.view.noteProof(memberOf(domain.newHsm('hsm-1')), proof);
    vi.advanceTimersByTime(60_000);
    expect(follower.view.problem).toBeUndefined();

    await follower.view.noteProof(memberOf(domain.hsms[1]!), proof);
    expect(follower.view.verified).toBeDefined();
    vi.advanceTimersByTime(5001);
    expect(follower.view.problem).toBe('hsm-2 has domain token 2, but none after 1 can be found');
    expect(follower.view.verified).toBeUndefined();

    manager.tokens = domain.tokens;
    await follower.view.hear();
    expect(follower.view.problem).toBeUndefined();
    expect(await follower.view.noteProof(memberOf(domain.hsms[1]!), proof)).toBe(true);
    expect(follower.view.state!.generation).toBe(2);
  });

  test('uses no worker while a member is on a fork, however long either chain is; one that is merely behind is nothing', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const domain = new TestDomain({ members: 3 });
    await using manager = await ShowsTokens.start();
    const forked = memberOf(domain.hsms[1]!);
    const fork = { generation: 2, tokenHash: tokenHash(domain.prepare(rotation, domain.people, domain.hsms[1]!)) };
    const behind = { generation: 1, tokenHash: tokenHash(domain.tokens[0]!) };
    const problem = 'hsm-2 has another domain token 2 than the domain-managers show: the domain is forked';
    for (const generation of [2, 3]) {
      domain.rotate();
      manager.tokens = domain.tokens.slice();
      await using follower = startView(domain, [manager]);
      await until(() => follower.view.state?.generation === generation);
      await follower.view.noteProof(memberOf(domain.hsms[2]!), behind);
      vi.advanceTimersByTime(5001);
      expect(follower.view.problem).toBeUndefined();
      await follower.view.noteProof(forked, fork);
      vi.advanceTimersByTime(5001);
      expect(follower.view.problem).toBe(problem);
      await follower.view.noteProof(forked, behind);
      expect(follower.view.verified).toBeUndefined();
    }

    manager.tokens = domain.tokens.slice(0, 1);
    await using follower = startView(domain, [manager]);
    await until(() => follower.view.state?.generation === 1);
    await follower.view.noteProof(forked, fork);
    vi.advanceTimersByTime(5001);
    expect(follower.view.problem).toBe('hsm-2 has domain token 2, but none after 1 can be found');
    manager.tokens = domain.tokens.slice();
    follower.view.look();
    await until(() => follower.view.problem === problem);
    domain.step({ name: 'ModifyMembers', body: { admit: [], remove: ['hsm-2'] } });
    manager.tokens = domain.tokens.slice();
    follower.view.look();
    await until(() => follower.view.state?.generation === 4);
  });
});

describe('a frontend that cannot take a token that verifies', () => {
  test('uses nobody, because that token may remove whom it uses, while its clock is behind', async () => {
    const domain = new TestDomain({ members: 3 });
    await using manager = await ShowsTokens.start();
    manager.tokens = domain.tokens.slice();
    await using follower = startView(domain, [manager]);
    await until(() => follower.view.state?.generation === 1);
    domain.clock.time = Date.now() + 11 * 60_000;
    domain.step({ name: 'ModifyMembers', body: { admit: [], remove: ['hsm-3'] } });
    manager.tokens = domain.tokens.slice();
    follower.view.look();
    await until(() => follower.view.problem?.includes('token 2 was made 11 minutes from now') === true);
    expect(follower.view.verified).toBeUndefined();
  });
});
