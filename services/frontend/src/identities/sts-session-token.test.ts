import { createSecretKey, hkdfSync, randomBytes } from 'node:crypto';
import { FakeDomain } from '@keyfleet/test-support/fakes/fake-domain';
import { FakeHsm } from '@keyfleet/test-support/fakes/fake-hsm';
import { expect, test } from 'vitest';
import { Fleet } from '../store/fleet.ts';
import { MemoryFleetSecrets } from '../store/memory-fleet-secrets.ts';
import { readSession, sealSession, type SessionContent, SessionTokens } from './sts-session-token.ts';

const DEADLINE = Number.MAX_SAFE_INTEGER;
const content: SessionContent = {
  accessKeyId: 'ASIA1',
  secretAccessKey: 'secret',
  accountId: '111122223333',
  kind: 'user',
  name: 'administrator',
  id: 'AIDA1',
  issuedAt: 0,
  expiresAt: 1,
  policies: [],
  tags: [],
  transitiveTagKeys: [],
};

test('a thief of the key that frontends share makes sessions until somebody is removed, and none afterwards', async () => {
  const [store, hsm, domain] = [new MemoryFleetSecrets(), new FakeHsm(), new FakeDomain()];
  const newFleet = () =>
    new Fleet({ store, hsm, domain, clock: { now: () => 0 }, events: { fleetKeyDropped: () => {} } });
  const frontend = new SessionTokens(newFleet(), randomBytes);
  const genuine = await frontend.seal(content, DEADLINE);
  const { domainKeyId } = readSession(genuine)!;

  const sealedFor = { accessKeyId: `keyfleet-session-token-key/${domainKeyId}`, principal: 'keyfleet:frontends' };
  const token = (await store.findFleetKey('session-token-key', domainKeyId))!;
  const { secretAccessKey } = await hsm.execute('OpenCredential', { ...sealedFor, token });
  const info = 'keyfleet/sts-session-token-key/1';
  const key = createSecretKey(Buffer.from(hkdfSync('sha256', secretAccessKey, '', info, 32)));
  const forge = (id: string) =>
    sealSession({ domainKeyId: id, key }, { ...content, secretAccessKey: 'of my choice' }, randomBytes(32));
  const forged = (await frontend.open(forge(domainKeyId), DEADLINE))!;
  expect(forged.content).toMatchObject({ secretAccessKey: 'of my choice' });
  expect(forged.isAccepted()).toBe(true);

  const id = (hsm.sealsUnder = domain.rotate(0, { afterRemoval: true }));
  expect(forged.isAccepted()).toBe(false);
  for (const one of [frontend, new SessionTokens(newFleet(), randomBytes)]) {
    expect(await one.open(forge(domainKeyId), DEADLINE)).toBeUndefined();
    expect(await one.open(genuine, DEADLINE)).toBeUndefined();
    const next = await one.seal(content, DEADLINE);
    expect((await one.open(next, DEADLINE))?.content).toEqual(content);
    expect(await one.open(forge(id), DEADLINE)).toBeUndefined();
  }
});
