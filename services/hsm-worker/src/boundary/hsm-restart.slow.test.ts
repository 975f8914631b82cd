import { memberOf, refusalOf, replaceKeys, rotation, TestDomain } from '@keyfleet/test-support/domain';
import { tokenHash } from '@keyfleet/shared/domain/token';
import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { Hsm } from './hsm.ts';
import { newSealKey } from './seal-key.ts';

describe('a restarted member', () => {
  test('has the same keys after its newest token alone', () => {
    const domain = new TestDomain();
    domain.rotate();
    const before = domain.hsms[0]!;
    const restarted = domain.newHsm('hsm-1', before.sealedIdentity());
    expect(memberOf(restarted)).toEqual(memberOf(before));
    expect(restarted.keyring()).toBeUndefined();
    expect(restarted.describe().generation).toBe(1);
    restarted.install(domain.tokens.slice(restarted.describe().generation));
    expect(restarted.keyring()!.active.key.equals(before.installed!.secrets.domainKeys[1]!.key)).toBe(true);
  });

  test('refuses to go back to an older token, and takes a newer one', () => {
    const domain = new TestDomain();
    domain.rotate();
    const sealed = domain.hsms[0]!.sealedIdentity();
    expect(refusalOf(() => domain.newHsm('hsm-1', sealed).install(domain.tokens.slice(0, 1)))).toBe('rolled-back');
    domain.rotate();
    const restarted = domain.newHsm('hsm-1', sealed);
    restarted.install(domain.tokens);
    expect(restarted.describe().generation).toBe(3);
  });

  test('refuses another token of its own generation, and whatever follows that one', () => {
    const domain = new TestDomain();
    const [first] = domain.tokens;
    const twin = domain.prepare(rotation, domain.people, domain.hsms[1]);
    domain.rotate();
    const restarted = domain.newHsm('hsm-1', domain.hsms[0]!.sealedIdentity());
    const next = domain.rotate();
    expect(refusalOf(() => restarted.install([first!, twin]))).toBe('forked');
    expect(refusalOf(() => restarted.install([first!, twin, next]))).toBe('forked');
    expect(refusalOf(() => restarted.install([domain.tokens[1]!, twin]))).toBe('stale');
    expect(restarted.keyring()).toBeUndefined();
  });

  test('compares the keys of each page with what it had, also before the checkpoint, and serves from that on', () => {
    const domain = new TestDomain();
    const restart = (sealed: Buffer, checkpoint: number): Hsm => {
      const hash = tokenHash(domain.tokens[checkpoint - 1]!);
      return domain.newHsm('hsm-1', sealed, undefined, { generation: checkpoint, hash });
    };
    const page = (from: number, to: number): Buffer[] => domain.tokens.slice(from - 1, to);
    const sealed = domain.hsms[0]!.sealedIdentity();
    for (let i = 0; i < 3; i++) domain.rotate();
    const member = restart(sealed, 4);
    expect(refusalOf(() => member.install(page(2, 3)))).toBe('no-domain');
    for (const to of [2, 3]) {
      member.install(page(to - 1, to));
      expect([member.state?.generation, member.installed, member.keyring()]).toEqual([to, undefined, undefined]);
      expect(refusalOf(() => domain.prepare(rotation, domain.people, member))).toBe('no-domain');
    }
    member.install(page(3, 4));
    expect(member.keyring()?.generation).toBe(4);

    expect(replaceKeys(domain, { more: 2 })).toBe(5);
    const late = restart(sealed, 7);
    late.install(page(1, 4));
    for (const hsm of [late, restart(late.sealedIdentity(), 7)]) {
      for (const to of [5, 6, 7]) expect(refusalOf(() => hsm.install(page(4, to)))).toBe('forged');
      expect(hsm.state?.generation).toBe(4);
    }
  });

  test('opens only under its seal key, its name and its domain', () => {
    const domain = new TestDomain();
    const sealed = domain.hsms[0]!.sealedIdentity();
    const options = { memberId: 'hsm-1', anchor: domain.anchor, clock: domain.clock, random: randomBytes };
    const otherSealKey = newSealKey(Buffer.alloc(32, 8), randomBytes);
    expect(refusalOf(() => new Hsm({ ...options, sealKey: otherSealKey, sealedIdentity: sealed }))).toBe('cannot-open');
    expect(refusalOf(() => domain.newHsm('hsm-2', sealed))).toBe('cannot-open');
    expect(refusalOf(() => new TestDomain({ name: 'other' }).newHsm('hsm-1', sealed))).toBe('other-domain');
  });

  test('does not come back from an identity with any byte changed, or cut anywhere', () => {
    const domain = new TestDomain();
    const sealed = domain.hsms[0]!.sealedIdentity();
    for (let at = 0; at < sealed.length; at += 7) {
      const changed = Buffer.from(sealed);
      changed[at]! ^= 1;
      expect(refusalOf(() => domain.newHsm('hsm-1', changed))).toMatch(/malformed|cannot-open/);
      expect(refusalOf(() => domain.newHsm('hsm-1', sealed.subarray(0, at)))).toBe('malformed');
    }
  });
});
