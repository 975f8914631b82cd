import { randomBytes } from 'node:crypto';
import { mkdir, mkdtempDisposable, readFile, rm, rmdir, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { asOfNow } from '@keyfleet/frontend/hsm/known-domain';
import { Negotiation } from '@keyfleet/frontend/hsm/negotiation';
import { verifyChain } from '@keyfleet/shared/domain/chain';
import { signCall } from '@keyfleet/shared/domain/domain-call';
import { parseToken, tokenHash } from '@keyfleet/shared/domain/token';
import type { TrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import { protocols } from '@keyfleet/shared/hsm/protocol';
import { type Change, rotation, TestDomain, testSealKey } from '@keyfleet/test-support/domain';
import { describe, expect, test } from 'vitest';
import type { Hsm } from './boundary/hsm.ts';
import { SessionRefusedError, Sessions } from './boundary/session.ts';
import { DomainCalls } from './domain-calls.ts';
import { HELD_TOKENS } from './boundary/domain/held-chain.ts';
import { DurableHsm } from './durable-hsm.ts';
import { HeldTokens } from './held-tokens.ts';

/** The first member of a new domain, with a disk that a test breaks. */
async function newMember() {
  const folder = await mkdtempDisposable(join(tmpdir(), 'keyfleet-'));
  const domain = new TestDomain();
  const hsm = domain.newHsm('hsm-1', domain.identities.get('hsm-1')!.seal(testSealKey));
  const identityFile = join(folder.path, 'identity');
  const events = { tokenInstalled: () => {} };
  const heldTokens = await HeldTokens.open(join(folder.path, 'held-tokens'));
  const member = new DurableHsm({ hsm, identityFile, heldTokens, publishIdentity: async () => {}, events });
  await member.install(domain.tokens);
  const file = () => readFile(identityFile);
  return {
    domain,
    hsm,
    member,
    file,
    /** What a restart finds. */
    heldTokens: async () => (await HeldTokens.open(join(folder.path, 'held-tokens'))).all(),
    /** The HSM that a crash would leave. */
    restarted: async (): Promise<Hsm> => domain.newHsm('hsm-1', await file()),
    /** The same with its disk, as the worker starts it. */
    async restart(checkpoint?: TrustAnchor['checkpoint']): Promise<DurableHsm> {
      const again = domain.newHsm('hsm-1', await file(), undefined, checkpoint);
      const kept = await HeldTokens.open(join(folder.path, 'held-tokens'));
      return new DurableHsm({ hsm: again, identityFile, heldTokens: kept, publishIdentity: async () => {}, events });
    },
    heldFolder: join(folder.path, 'held-tokens'),
    loseHeldTokens: () => rm(join(folder.path, 'held-tokens'), { recursive: true }),
    breakDisk: () => mkdir(`${identityFile}.new`),
    mendDisk: () => rmdir(`${identityFile}.new`),
    [Symbol.asyncDispose]: () => folder.remove(),
  };
}

test('a member says that it has a token only once a crash cannot take it back', async () => {
  await using world = await newMember();
  const { domain, hsm, member } = world;
  domain.rotate();

  const installing = member.install(domain.tokens);
  while (hsm.describe().generation < 2) await setImmediate();
  expect(member.describe().generation).toBe(1);
  const signed = member.signWhenDurable(Buffer.from('generation 2')).then(world.restarted);
  expect((await installing).generation).toBe(2);
  expect(member.describe().generation).toBe(2);
  expect((await signed).state?.generation).toBe(2);
});

test('a member keeps the tokens that it installed last for those who lack them, also over a crash', async () => {
  await using world = await newMember();
  const { domain, member, heldTokens } = world;
  expect(await member.heldToken(1)).toEqual(domain.tokens[0]);
  domain.rotate();
  domain.rotate();
  await member.install(domain.tokens);
  for (const [i, token] of domain.tokens.entries()) expect(await member.heldToken(i + 1)).toEqual(token);
  expect(await member.heldToken(4)).toBeUndefined();
  expect(await heldTokens()).toEqual(domain.tokens);
  await expect(member.install(domain.tokens.slice(0, 1))).rejects.toThrow('older');
  // Who shows it the one that it has without its witness, before the next, does not have it keep that.
  const { made } = parseToken(domain.tokens.at(-1)!);
  domain.rotate();
  await member.install([made, domain.tokens.at(-1)!]);
  expect(await heldTokens()).toEqual(domain.tokens);

  while (domain.generation < HELD_TOKENS + 2) domain.rotate();
  await member.install(domain.tokens);
  expect(await heldTokens()).toEqual(domain.tokens.slice(-HELD_TOKENS));
  expect(await member.heldToken(2)).toBeUndefined();
});

test('a member keeps its tokens though its disk has later ones, of a domain that it belonged to before', async () => {
  await using world = await newMember();
  const { domain, heldTokens, heldFolder } = world;
  for (let i = 0; i < HELD_TOKENS; i++) await writeFile(join(heldFolder, String(100 + i)), 'of the former domain');
  const member = await world.restart();
  domain.rotate();
  await member.install(domain.tokens);
  expect(await heldTokens()).toEqual(domain.tokens);
});

test('a member gives out its tokens alone, whatever somebody puts in their place on its disk', async () => {
  await using world = await newMember();
  const { domain, member, heldFolder } = world;
  domain.rotate();
  await member.install(domain.tokens);
  const secret = join(heldFolder, 'secret');
  await writeFile(secret, 'a seal key');
  await rm(join(heldFolder, '1'));
  await symlink(secret, join(heldFolder, '1'));
  await writeFile(join(heldFolder, '2'), new TestDomain().tokens[0]!);
  for (const worker of [member, await world.restart()]) {
    for (const generation of [1, 2]) expect(await worker.heldToken(generation)).toBeUndefined();
  }
});

test('a member keeps every token that its disk refused at first', async () => {
  await using world = await newMember();
  const { domain, member, heldTokens } = world;
  for (let i = 0; i < 2; i++) {
    domain.rotate();
    await world.breakDisk();
    await expect(member.install(domain.tokens.slice(-1))).rejects.toThrow('EISDIR');
    await world.mendDisk();
  }
  await member.install(domain.tokens);
  expect(await heldTokens()).toEqual(domain.tokens);
});

test('a token that is installed already is not written again, unless the last write failed', async () => {
  await using world = await newMember();
  const { domain, member, file } = world;
  const written = await file();
  await member.install(domain.tokens);
  expect(await file()).toEqual(written);

  await world.breakDisk();
  domain.rotate();
  await expect(member.install(domain.tokens)).rejects.toThrow('EISDIR');
  await world.mendDisk();
  expect((await member.install(domain.tokens)).generation).toBe(2);
  expect(await file()).not.toEqual(written);
});

test('no session says that a member has a token which its disk refused; one that is there already goes on', async () => {
  await using world = await newMember();
  const { domain, hsm, member } = world;
  const { clock, frontend: host } = domain;
  const signWhenDurable = (message: Uint8Array) => member.signWhenDurable(message);
  const onUnknownDomainKey = () => {};
  const sessions = new Sessions({
    member: hsm,
    signWhenDurable,
    clock,
    random: randomBytes,
    protocols,
    onUnknownDomainKey,
  });
  const generationOfSession = async () => {
    const known = asOfNow(verifyChain(domain.anchor, domain.tokens));
    const negotiation = await Negotiation.start({ host, domain: known, clock });
    return (await negotiation.finish(await sessions.negotiate(negotiation.hello))).generation;
  };

  await world.breakDisk();
  await expect(member.prepare(domain.propose(rotation), domain.tokens.at(-1))).rejects.toThrow('EISDIR');
  expect(await generationOfSession()).toBe(1);
  domain.rotate();
  await expect(member.install(domain.tokens)).rejects.toThrow('EISDIR');
  await expect(generationOfSession()).rejects.toThrow(SessionRefusedError);
  await world.mendDisk();
  await member.install(domain.tokens);
  expect(await generationOfSession()).toBe(2);
});

test('neither a session nor a change waits until a token is checked, which changes nothing', async () => {
  await using world = await newMember();
  const { domain, hsm, member } = world;
  let isSigned = false;
  Object.assign(hsm, {
    *checking() {
      while (!isSigned) yield;
      return Buffer.from('checked');
    },
  });
  const checked = member.check(domain.tokens.at(-1)!, 'opens');
  await member.signWhenDurable(Buffer.from('generation 1'));
  await member.prepare(domain.propose(rotation), domain.tokens.at(-1));
  isSigned = true;
  expect((await checked).toString()).toBe('checked');
});

test('a token is checked after the changes that were asked for before it', async () => {
  await using world = await newMember();
  const { domain, member } = world;
  const token = domain.rotate();
  const next = domain.prepare(rotation, domain.people, domain.hsms[1]);
  const [, checked] = await Promise.all([member.install([token]), member.check(next, 'opens')]);
  expect(checked.length).toBeGreaterThan(0);
});

test('between the wrapped keys of two members, everything else has its turn', async () => {
  await using world = await newMember();
  const { domain, hsm, member } = world;
  const proposal = domain.propose(rotation);
  const members = domain.hsms.length;
  expect([...hsm.preparing(proposal, domain.tokens.at(-1))]).toHaveLength(members);
  const token = hsm.prepare(proposal, domain.tokens.at(-1));
  expect([...domain.hsms[1]!.checking(token)]).toHaveLength(members);

  let turns = 0;
  let isOver = false;
  const checked = member.check(token, 'opens').finally(() => (isOver = true));
  while (!isOver) {
    await setImmediate();
    turns++;
  }
  await checked;
  expect(turns).toBeGreaterThanOrEqual(members);
});

test('a token that the disk refused is given out when it is asked for again, and is on the disk then', async () => {
  await using world = await newMember();
  const { domain, member } = world;
  const [proposal, current] = [domain.propose(rotation), domain.tokens.at(-1)!];
  await world.breakDisk();
  await expect(member.prepare(proposal, current)).rejects.toThrow('EISDIR');
  await world.mendDisk();
  const token = await member.prepare(proposal, current);
  const restarted = await world.restarted();
  restarted.install(domain.tokens);
  expect(restarted.prepare(proposal, current)).toEqual(token);
});

test('two proposals of one generation that come at once get the same token', async () => {
  await using world = await newMember();
  const { domain, member } = world;
  const removal: Change = { name: 'ModifyOperators', body: { admit: [], remove: ['carol'] } };
  const proposals = [rotation, removal].map((change) => domain.propose(change));
  const [first, second] = await Promise.all(proposals.map((one) => member.prepare(one, domain.tokens.at(-1))));
  expect(second).toEqual(first);
});

test('a member whose disk refuses the new identity has not left, and leaves when it is told again', async () => {
  await using world = await newMember();
  const { domain, hsm, member } = world;
  const { anchor, clock, scheduler } = domain;
  const proposal = domain.propose({ name: 'LeaveDomain', body: { memberId: 'hsm-1' } });
  const calls = new DomainCalls({ hsm, anchor, clock });
  const tell = () => {
    const about = { domain: anchor.domain, method: 'LeaveDomain', memberId: 'hsm-1', request: [proposal] } as const;
    calls.assertLeave(signCall(about, scheduler, clock.now()), proposal);
    return member.leave(proposal);
  };
  const before = member.describe();

  await world.breakDisk();
  await expect(tell()).rejects.toThrow('EISDIR');
  expect(member.describe()).toEqual(before);
  expect((await world.restarted()).state?.generation).toBe(1);
  await world.mendDisk();
  expect(await tell()).toMatchObject({ domain: '', generation: 0 });
  const { signingKey } = member.describe();
  expect(signingKey).not.toEqual(before.signingKey);
  expect((await world.restarted()).describe()).toMatchObject({ domain: '', generation: 0, signingKey });
});

describe('a member that restarts', () => {
  test('serves with the newest token that it kept, which nobody else has to show it', async () => {
    await using world = await newMember();
    const { domain, member } = world;
    domain.rotate();
    await member.install(domain.tokens);
    const restarted = await world.restart();
    expect([restarted.serves, restarted.describe().generation]).toEqual([false, 1]);
    await restarted.installHeld();
    expect([restarted.serves, restarted.describe()]).toEqual([true, { ...member.describe(), activeGeneration: 2 }]);
    expect((await world.restarted()).state?.generation).toBe(2);
    domain.rotate();
    expect((await restarted.install(domain.tokens.slice(-1))).generation).toBe(3);
  });

  test('does not serve without it, with another one, or before the checkpoint, until it is shown what it needs', async () => {
    await using world = await newMember();
    const { domain } = world;
    const own = domain.tokens.at(-1)!;
    const twin = parseToken(new TestDomain().tokens.at(-1)!);
    const heldTokens = await HeldTokens.open(world.heldFolder);
    await heldTokens.keep([twin]);
    const misled = await world.restart();
    await expect(misled.installHeld()).rejects.toThrow('is not the installed token 1');
    await world.loseHeldTokens();
    const robbed = await world.restart();
    await robbed.installHeld();
    expect([misled.serves, robbed.serves]).toEqual([false, false]);
    for (const one of [misled, robbed]) expect((await one.install([own])) && one.serves).toBe(true);

    const next = domain.rotate();
    const early = await world.restart({ generation: 2, hash: tokenHash(next) });
    await early.installHeld();
    expect([early.serves, early.describe().generation]).toEqual([false, 0]);
    await early.install(domain.tokens);
    expect(early.serves).toBe(true);
  });

  test('does not serve while its disk refuses what it installed', async () => {
    await using world = await newMember();
    const { domain, member } = world;
    const restarted = await world.restart();
    await world.breakDisk();
    await expect(restarted.installHeld()).rejects.toThrow('EISDIR');
    domain.rotate();
    await expect(member.install(domain.tokens)).rejects.toThrow('EISDIR');
    expect([restarted.serves, member.serves]).toEqual([false, false]);
    await world.mendDisk();
    await member.install(domain.tokens);
    expect(member.serves).toBe(true);
  });

  test('has the token that its disk refused at first, although it made another one in between', async () => {
    await using world = await newMember();
    const { domain, member } = world;
    domain.rotate();
    const refusing = join(world.heldFolder, '2.new');
    await mkdir(refusing);
    await expect(member.install(domain.tokens)).rejects.toThrow('EISDIR');
    const proposal = domain.propose(rotation);
    await expect(member.prepare(proposal, domain.tokens.at(-1))).rejects.toThrow('EISDIR');
    await rmdir(refusing);
    await member.prepare(proposal, domain.tokens.at(-1));
    await member.install(domain.tokens);
    const restarted = await world.restart();
    await restarted.installHeld();
    expect([restarted.serves, restarted.describe().generation]).toEqual([true, 2]);
  });

  test('and was removed before does not serve', async () => {
    await using world = await newMember();
    const { domain, member } = world;
    expect(member.serves).toBe(true);
    domain.step({ name: 'ModifyMembers', body: { admit: [], remove: ['hsm-1'] } }, domain.people, domain.hsms[1]);
    await member.install(domain.tokens);
    const restarted = await world.restart();
    await restarted.installHeld();
    expect([member.serves, restarted.serves, restarted.describe().domain]).toEqual([false, false, 'test']);
  });
});
