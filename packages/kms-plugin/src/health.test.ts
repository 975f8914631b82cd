import { KmsException } from '@keyfleet/client';
import { FakeKms } from '@keyfleet/test-support/fakes/fake-kms';
import { expect, test } from 'vitest';
import { ClusterKey } from './cluster-key.ts';
import { type Health, KeyHealth } from './health.ts';

function given() {
  const kms = new FakeKms();
  const key = new ClusterKey({ kms, keyId: 'alias/cluster', encryptionContext: {} });
  const changes: Health[] = [];
  let time = 0;
  const health = new KeyHealth({ key, clock: { now: () => time }, onChange: (now) => changes.push(now) });
  return { kms, key, health, changes, pass: (ms: number) => (time += ms) };
}

test('it is found by encrypting and decrypting, once for all who ask within five seconds', async () => {
  const { kms, health, pass } = given();
  const answers = await Promise.all([health.now(), health.now()]);
  pass(4_999);
  answers.push(await health.now());
  expect(new Set(answers.map(({ healthz }) => healthz))).toEqual(new Set(['ok']));
  expect(kms.calls).toBe(2);
  pass(1);
  await health.now();
  expect(kms.calls).toBe(4);
});

test('a key that cannot be used says why under its last key id, and the end of the trouble is seen within a second', async () => {
  const { kms, health, changes, pass } = given();
  const { keyId } = await health.now();
  kms.refusal = new KmsException('DisabledException', 'it is disabled');
  pass(5_000);
  const trouble = { healthz: 'Keyfleet answers DisabledException: it is disabled', keyId };
  expect(await health.now()).toEqual(trouble);
  pass(1_000);
  expect(await health.now()).toEqual(trouble);
  kms.refusal = undefined;
  pass(1_000);
  expect(await health.now()).toEqual({ healthz: 'ok', keyId });
  expect(changes.map(({ healthz }) => healthz)).toEqual(['ok', trouble.healthz, 'ok']);
});

test('the key id of the last Encrypt is the one that Status says', async () => {
  const { kms, key, health } = given();
  const before = await health.now();
  kms.rotate();
  const { keyId } = await key.encrypt(Buffer.from('a'));
  health.noteEncrypted(keyId);
  expect(keyId).not.toBe(before.keyId);
  expect(await health.now()).toEqual({ healthz: 'ok', keyId });
});
