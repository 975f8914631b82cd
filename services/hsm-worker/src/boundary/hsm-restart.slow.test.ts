import { memberOf, refusalOf, rotation, TestDomain } from '@keyfleet/test-support/domain';
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
