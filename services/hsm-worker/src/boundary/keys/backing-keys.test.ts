import { counterRandom, testDomainKey, testKeyring } from '@keyfleet/test-support/command-context';
import { ExportedKeyToken } from '@keyfleet/shared/hsm/exported-key-token';
import { expect, test } from 'vitest';
import { materialIdOf } from '../tokens/material-id.ts';
import { resealToken } from '../tokens/stored-token.ts';
import { sealToken } from '../tokens/sealed-token.ts';
import { BackingKeyCache } from './backing-keys.ts';

const nonce = counterRandom();
const keyring = testKeyring({ active: testDomainKey('1') });
const keyId = '0a1b2c3d-4e5f-4061-8293-a4b5c6d7e8f9';

const account = '111122223333';

function newToken(): { token: Buffer; materialId: Buffer } {
  const secret = nonce(32);
  const materialId = materialIdOf(keyring.materialIdKey, { keyId, material: secret });
  const header = {
    keyId,
    account,
    materialId,
    keySpec: 'HMAC_256',
    keyUsage: 'GENERATE_VERIFY_MAC',
    origin: 'AWS_KMS',
  } as const;
  return { token: sealToken(ExportedKeyToken, { header, secret }, { keyring, nonce }), materialId };
}

/** The cost of one of these tokens. */
const ENTRY_BYTES = 2_000 + 4 * newToken().token.length;

function newCache(options: { capacity?: number } = {}) {
  const clock = { time: 0, now: () => clock.time };
  return {
    clock,
    cache: new BackingKeyCache({
      monotonicClock: clock,
      maxBytes: (options.capacity ?? 10) * ENTRY_BYTES,
      maxAgeMs: 1000,
    }),
  };
}

test('a token is opened once, and again when it is too old', () => {
  const { cache, clock } = newCache();
  const { token } = newToken();
  const first = cache.open(token, keyring);
  clock.time = 999;
  expect(cache.open(Buffer.from(token), keyring)).toBe(first);
  clock.time = 1000;
  expect(cache.open(token, keyring)).not.toBe(first);
});

test('a key that is too old is dropped although nobody asks for it again, and a younger one stays', () => {
  const { cache, clock } = newCache();
  const [old, again, young] = [newToken(), newToken(), newToken()];
  const first = cache.open(old.token, keyring);
  cache.open(again.token, keyring);
  clock.time = 1_000;
  const reopened = cache.open(again.token, keyring);
  clock.time = 1_500;
  const kept = cache.open(young.token, keyring);
  cache.dropOld();
  // Had it stayed, it would count again once the clock is set back.
  clock.time = 0;
  expect(cache.open(old.token, keyring)).not.toBe(first);
  clock.time = 1_500;
  expect(cache.open(young.token, keyring)).toBe(kept);
  expect(cache.open(again.token, keyring)).toBe(reopened);
  clock.time = 9_000;
  cache.dropOld();
  clock.time = 1_500;
  expect(cache.open(young.token, keyring)).not.toBe(kept);
});

test('a token that ends like a cached one is another token', () => {
  const { cache } = newCache();
  const { token } = newToken();
  const opened = cache.open(token, keyring);
  const forged = Buffer.from(token);
  forged[forged.length - 20]! ^= 1;
  expect(() => cache.open(forged, keyring)).toThrow(expect.objectContaining({ refusal: 'cannot-open' }));
  expect(cache.open(token, keyring)).toBe(opened);
});

test('a key that is kept for minutes keeps no block of the pool from which Node takes small buffers', () => {
  const { cache } = newCache();
  const { materialId, blobPrefix } = cache.open(newToken().token, keyring);
  const kept = [materialId, blobPrefix];
  expect(kept.map(({ buffer }) => buffer.byteLength)).toEqual(kept.map(({ byteLength }) => byteLength));
});

test('changing the bytes that were handed in changes nothing that is kept', () => {
  const { cache } = newCache();
  const { token } = newToken();
  const input = Buffer.from(token);
  const opened = cache.open(input, keyring);
  input.fill(0);
  expect(cache.open(token, keyring)).toBe(opened);
});

test('the key that was used longest ago makes room', () => {
  const { cache } = newCache({ capacity: 2 });
  const [a, b, c] = [newToken(), newToken(), newToken()];
  const keptA = cache.open(a.token, keyring);
  const droppedB = cache.open(b.token, keyring);
  cache.open(a.token, keyring);
  const keptC = cache.open(c.token, keyring);
  expect(cache.open(a.token, keyring)).toBe(keptA);
  expect(cache.open(c.token, keyring)).toBe(keptC);
  expect(cache.open(b.token, keyring)).not.toBe(droppedB);
});

test('evicting a backing key forgets it under each of its tokens, and no other', () => {
  const { cache } = newCache();
  const [mine, other] = [newToken(), newToken()];
  const rotated = testKeyring({ active: testDomainKey('2'), deactivated: [testDomainKey('1')] });
  const resealed = resealToken({ token: mine.token, account }, { keyring: rotated, nonce });
  const before = [cache.open(mine.token, rotated), cache.open(resealed, rotated), cache.open(other.token, rotated)];
  cache.evict(mine.materialId);
  expect(cache.open(mine.token, rotated)).not.toBe(before[0]);
  expect(cache.open(resealed, rotated)).not.toBe(before[1]);
  expect(cache.open(other.token, rotated)).toBe(before[2]);
});

test('material that is not what its id says does not open: a holder of a domain key planted it', () => {
  const { cache } = newCache();
  const { materialId } = newToken();
  const header = { keyId, account, materialId, keySpec: 'HMAC_256', keyUsage: 'GENERATE_VERIFY_MAC' } as const;
  const sealing = { header: { ...header, origin: 'AWS_KMS' as const }, secret: nonce(32) };
  const planted = sealToken(ExportedKeyToken, sealing, { keyring, nonce });
  expect(() => cache.open(planted, keyring)).toThrow(expect.objectContaining({ refusal: 'cannot-open' }));
});

test('an evicted key takes no room, and is opened again', () => {
  const { cache } = newCache({ capacity: 2 });
  const tokens = Array.from({ length: 20 }, newToken);
  for (const { token, materialId } of tokens) {
    cache.open(token, keyring);
    cache.evict(materialId);
    cache.evict(materialId);
  }
  const [first, second] = [tokens[0]!, tokens[1]!];
  const opened = [cache.open(first.token, keyring), cache.open(second.token, keyring)];
  expect([cache.open(first.token, keyring), cache.open(second.token, keyring)]).toEqual(opened);
  cache.open(newToken().token, keyring);
  cache.open(newToken().token, keyring);
  cache.evict(first.materialId);
  expect(cache.open(first.token, keyring)).not.toBe(opened[0]);
});

test('evicting one of many looks at no other', () => {
  const { cache } = newCache({ capacity: 3_000 });
  const tokens = Array.from({ length: 3_000 }, newToken);
  const opened = tokens.map(({ token }) => cache.open(token, keyring));
  let looks = 0;
  for (const backingKey of opened) {
    const { materialId } = backingKey;
    Object.defineProperty(backingKey, 'materialId', { get: () => (looks++, materialId) });
  }
  cache.evict(tokens[1_500]!.materialId);
  expect(looks).toBeLessThan(2);
  expect(cache.open(tokens[1_500]!.token, keyring)).not.toBe(opened[1_500]);
  expect(cache.open(tokens[1_501]!.token, keyring)).toBe(opened[1_501]);
});

test('nothing is left after clearing', () => {
  const { cache } = newCache();
  const { token } = newToken();
  const before = cache.open(token, keyring);
  cache.clear();
  expect(cache.open(token, keyring)).not.toBe(before);
});
