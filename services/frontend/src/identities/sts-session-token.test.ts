import { createSecretKey, hkdfSync, randomBytes } from 'node:crypto';
import { FakeHsm } from '@keyfleet/test-support/fakes/fake-hsm';
import { expect, test } from 'vitest';
import { MemoryStore } from '../store/memory-store.ts';
import { sealSession, type SessionContent, SessionTokens } from './sts-session-token.ts';

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

/** The limit that docs/domain.md states, and what it says ends it. */
test('who has the key that frontends share makes sessions, until the key is deleted and frontends have started anew', async () => {
  const [secrets, hsm] = [new MemoryStore(), new FakeHsm()];
  const frontend = new SessionTokens({ secrets, hsm, random: randomBytes });
  await frontend.seal(content, DEADLINE);

  const sealedFor = { accessKeyId: 'keyfleet-session-token-key', principal: 'keyfleet:frontends' };
  const token = (await secrets.findSecret('session-token-key'))!;
  const { secretAccessKey } = await hsm.execute('OpenCredential', { ...sealedFor, token });
  const info = 'keyfleet/sts-session-token-key/1';
  const leaked = createSecretKey(Buffer.from(hkdfSync('sha256', secretAccessKey, '', info, 32)));
  const forged = sealSession(leaked, { ...content, secretAccessKey: 'of my choice' }, randomBytes(32));
  expect(await frontend.open(forged, DEADLINE)).toMatchObject({ secretAccessKey: 'of my choice' });

  const startedAnew = new SessionTokens({ secrets: new MemoryStore(), hsm, random: randomBytes });
  expect(await startedAnew.open(forged, DEADLINE)).toBeUndefined();
});
