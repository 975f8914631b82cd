import { generateKeyPairSync, hash, type KeyObject, verify } from 'node:crypto';
import { afterAll, describe, expect, test } from 'vitest';
import { type NobleSignatures, NobleThread } from './noble-thread.ts';

const thread = new NobleThread();
afterAll(() => thread[Symbol.asyncDispose]());

const message = Buffer.from('a message');
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const digest = hash('sha256', message, 'buffer');

const ours = thread.of('111122223333');
const theirs = thread.of('444455556666');

describe('the thread for signatures in JavaScript', () => {
  test('signs and verifies with keys that stay where they are', async () => {
    const signature = await ours.sign('ecdsa-digest', privateKey, digest);
    expect(verify('sha256', message, publicKey, signature)).toBe(true);
    expect(await ours.verify('ecdsa-digest', publicKey, { message: digest, signature })).toBe(true);
    const other = hash('sha256', 'another', 'buffer');
    expect(await ours.verify('ecdsa-digest', publicKey, { message: other, signature })).toBe(false);
  });

  test('answers each of many callers with its own signature', async () => {
    const messages = Array.from({ length: 20 }, (_, i) => Buffer.from(`message ${i}`));
    const signatures = await Promise.all(
      messages.map((text) => ours.sign('ecdsa-digest', privateKey, hash('sha256', text, 'buffer'))),
    );
    messages.forEach((text, i) => expect(verify('sha256', text, publicKey, signatures[i]!)).toBe(true));
  });

  test('does not let one account that brings much for many keys keep another waiting', async () => {
    const keys = Array.from({ length: 4 }, () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
    const order: string[] = [];
    const signing = (name: string, account: NobleSignatures, key: KeyObject) =>
      account.sign('ecdsa-digest', key, digest).then(() => void order.push(name));
    const many = Array.from({ length: 40 }, (_, index) => signing('many', ours, keys[index % 4]!));
    await Promise.all([...many, signing('one', theirs, privateKey)]);
    expect(order).toHaveLength(41);
    // Behind what the thread already had, and one more.
    expect(order.indexOf('one')).toBeLessThan(4);
  });

  test('refuses more of one key than it would do in seconds, and takes those of others', async () => {
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const settled = Promise.allSettled(
      Array.from({ length: 100 }, () => ours.sign('ecdsa-digest', privateKey, digest)),
    );
    expect(await ours.sign('ecdsa-digest', other.privateKey, digest)).toBeInstanceOf(Buffer);
    const refused = (await settled).filter(({ status }) => status === 'rejected');
    // The thread had two at once, and 64 waited.
    expect(refused).toHaveLength(34);
    expect(refused[0]).toMatchObject({ reason: { name: 'RefusedError', refusal: 'overloaded' } });
  });

  test('refuses more of one account than it would do in seconds, and takes those of another', async () => {
    const keys = Array.from({ length: 4 }, () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
    const settled = Promise.allSettled(
      Array.from({ length: 160 }, (_, index) => ours.sign('ecdsa-digest', keys[index % 4]!, digest)),
    );
    expect(await theirs.sign('ecdsa-digest', privateKey, digest)).toBeInstanceOf(Buffer);
    const refused = (await settled).filter(({ status }) => status === 'rejected');
    // The thread had two at once, and 128 waited.
    expect(refused).toHaveLength(30);
  });

  test('fails what cannot be done, and continues', async () => {
    const foreign = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    await expect(ours.sign('ecdsa-digest', foreign, digest)).rejects.toThrow('could not be made');
    expect(await ours.sign('ecdsa-digest', privateKey, digest)).toBeInstanceOf(Buffer);
  });

  test('a thread that was stopped is replaced', async () => {
    const stopped = new NobleThread();
    await stopped[Symbol.asyncDispose]();
    const signature = await stopped.of('111122223333').sign('ecdsa-digest', privateKey, digest);
    await stopped[Symbol.asyncDispose]();
    expect(verify('sha256', message, publicKey, signature)).toBe(true);
  });
});
