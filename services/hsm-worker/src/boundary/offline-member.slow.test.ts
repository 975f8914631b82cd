import { memberOf, refusalOf, TestDomain } from '@keyfleet/test-support/domain';
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { newOfflineMember, openOfflineMember } from './offline-member.ts';

/** Each opening and sealing takes half a second on an idle core, on purpose. */
const scrypt = { timeout: 60_000 };

test(
  'with every worker lost, an offline member and the stored tokens admit a fresh fleet that has every key',
  scrypt,
  () => {
    const domain = new TestDomain();
    const options = { anchor: domain.anchor, clock: domain.clock, random: randomBytes, passphrase: 'tremble lantern' };
    const created = newOfflineMember('safe-1', options);
    domain.step({ name: 'ModifyMembers', body: { admit: [{ ...memberOf(created.hsm), offline: true }], remove: [] } });
    const file = created.file();
    domain.rotate();
    const lost = domain.hsms[0]!.installed!.secrets.domainKeys;

    const { hsm } = openOfflineMember(file, options);
    hsm.install(domain.tokens);
    const fresh = domain.newHsm('hsm-1');
    const body = { admit: [memberOf(fresh)], remove: ['hsm-1', 'hsm-2'] };
    const token = domain.prepare({ name: 'ModifyMembers', body, unwitnessed: true }, domain.people, hsm);
    fresh.install([...domain.tokens, token]);

    for (const { id, key } of lost) expect(fresh.keyring()!.find(id)!.key.equals(key)).toBe(true);
    expect(fresh.describe()).toMatchObject({ generation: 4, activeGeneration: 4 });
  },
);

test('an offline member does not open with another passphrase, nor from a file that was changed', scrypt, () => {
  const domain = new TestDomain();
  const options = { anchor: domain.anchor, clock: domain.clock, random: randomBytes, passphrase: 'tremble lantern' };
  const file = newOfflineMember('safe-1', options).file();
  expect(refusalOf(() => openOfflineMember(file, { ...options, passphrase: 'tremble lanterns' }))).toBe('cannot-open');
  expect(refusalOf(() => openOfflineMember(file.subarray(1), options))).toBe('malformed');
  const changed = Buffer.from(file);
  changed[changed.length - 1]! ^= 1;
  expect(refusalOf(() => openOfflineMember(changed, options))).toBe('cannot-open');
});
