import { refusalOf, rotation, TestDomain } from '@keyfleet/test-support/domain';
import { describe, expect, test } from 'vitest';
import { verifyChain } from '@keyfleet/shared/domain/chain';

describe('a member', () => {
  test('founds a domain whose members share one active domain key', () => {
    const { hsms, tokens, anchor } = new TestDomain({ members: 3 });
    const [first, ...others] = hsms.map((hsm) => hsm.keyring()!);
    for (const keyring of others) {
      expect(keyring.active.key.equals(first!.active.key)).toBe(true);
      expect(keyring.materialIdKey.equals(first!.materialIdKey)).toBe(true);
    }
    expect(hsms[0]!.describe()).toMatchObject({ domain: 'test', generation: 1, activeGeneration: 1 });
    expect(hsms[2]!.describe().tokenHash).toEqual(verifyChain(anchor, tokens).hash);
  });

  test('preparing a token changes nothing in the member that makes it', () => {
    const domain = new TestDomain();
    const before = domain.hsms[0]!.describe();
    domain.prepare(rotation);
    expect(domain.hsms[0]!.describe()).toEqual(before);
    expect(new TestDomain().newHsm('hsm-9').describe()).toMatchObject({ domain: '', generation: 0 });
  });

  test('a domain key opens what it sealed after every rotation, and material ids stay what they were', () => {
    const domain = new TestDomain();
    const before = domain.hsms[1]!.keyring()!;
    domain.rotate();
    domain.rotate();
    const after = domain.hsms[1]!.keyring()!;
    expect(after.find(before.active.id)!.key.equals(before.active.key)).toBe(true);
    expect(after.materialIdKey.equals(before.materialIdKey)).toBe(true);
    expect(domain.hsms[1]!.installed!.state.domainKeys.map(({ status }) => status)).toEqual([
      'deactivated',
      'deactivated',
      'active',
    ]);
  });

  test('tokens already installed, and older ones, change nothing when they come again', () => {
    const domain = new TestDomain();
    domain.rotate();
    const [hsm] = domain.hsms;
    const installed = hsm!.installed;
    hsm!.install(domain.tokens);
    expect(hsm!.installed).toBe(installed);
  });

  test('one that was away for several rotations catches up in one step', () => {
    const domain = new TestDomain();
    const away = domain.hsms.pop()!;
    for (let i = 0; i < 3; i++) domain.rotate();
    expect(refusalOf(() => away.install(domain.tokens.slice(-1)))).toBe('skipped');
    away.install(domain.tokens.slice(1));
    expect(away.describe().generation).toBe(4);
  });
});

describe('what a member refuses to prepare', () => {
  test('a founding when it already has a domain, and a change when it has none', () => {
    const domain = new TestDomain();
    const proposal = domain.propose(rotation);
    expect(refusalOf(() => domain.hsms[0]!.prepare(proposal))).toBe('already-in-domain');
    expect(refusalOf(() => domain.newHsm('hsm-9').prepare(proposal, domain.tokens[0]))).toBe('no-domain');
  });

  test('a change of another token than the installed one', () => {
    const domain = new TestDomain();
    domain.rotate();
    const proposal = domain.propose(rotation);
    expect(refusalOf(() => domain.hsms[0]!.prepare(proposal, domain.tokens[0]))).toBe('stale');
  });

  test('dropping a domain key that is active, unknown, or that a backup may need', () => {
    const domain = new TestDomain({ backupHorizonMs: 1000 });
    const drop = (id: string) => refusalOf(() => domain.prepare({ name: 'DropDomainKeys', body: { ids: [id] } }));
    const first = domain.hsms[0]!.keyring()!.active.id;
    expect(drop(first)).toBe('invalid-change');
    expect(drop('00'.repeat(16))).toBe('invalid-change');
    domain.clock.advance(5000);
    domain.rotate();
    domain.clock.advance(999);
    expect(drop(first)).toBe('too-young');
    domain.clock.advance(-1_000_000);
    expect(drop(first)).toBe('from-the-future');
    domain.clock.advance(1_000_001);
    expect(drop(first)).toBe('accepted');
  });

  test('dropping or reinstating domain keys by the word of the scheduler, which may retire them', () => {
    const domain = new TestDomain({ members: 3 });
    const ids = [domain.hsms[0]!.keyring()!.active.id];
    domain.hsms.pop();
    domain.step({ name: 'ModifyMembers', body: { admit: [], remove: ['hsm-3'] } });
    const byScheduler = (name: 'DropDomainKeys' | 'RetireDomainKeys' | 'ReinstateDomainKeys') =>
      refusalOf(() => domain.prepare({ name, body: { ids } }, [domain.scheduler]));
    expect(byScheduler('DropDomainKeys')).toBe('not-enough-signatures');
    expect(byScheduler('RetireDomainKeys')).toBe('accepted');
    domain.retire(...ids);
    expect(byScheduler('ReinstateDomainKeys')).toBe('not-enough-signatures');
    expect(byScheduler('DropDomainKeys')).toBe('not-enough-signatures');
  });

  test('a proposal that names another member', () => {
    const domain = new TestDomain();
    const [first, second] = domain.hsms;
    const forFirst = domain.propose(rotation, domain.people, first);
    expect(refusalOf(() => second!.prepare(forFirst, domain.tokens.at(-1)))).toBe('other-preparer');
  });
});
