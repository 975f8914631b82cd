import { decodeKey, encodeKey } from '@keyfleet/frontend/store/key-record';
import type { KmsKey } from '@keyfleet/frontend/keys/kms-key';
import { expect, test } from 'vitest';
import vectors from './kms/key-record.json' with { type: 'json' };

/** The tokens and public keys of a vector are in hex. */
interface Vector {
  readonly key: { readonly backingKeys: readonly { readonly token?: string; readonly publicKey?: string }[] };
}

function keyOf({ key }: Vector): KmsKey {
  const materials = key.backingKeys.map(({ token, publicKey, ...material }) => ({
    ...material,
    ...(token !== undefined && { token: Buffer.from(token, 'hex') }),
    ...(publicKey !== undefined && { publicKey: Buffer.from(publicKey, 'hex') }),
  }));
  return { ...key, backingKeys: materials } as object as KmsKey;
}

test.each(vectors)('$name is read from version $version', (vector) => {
  expect(decodeKey(vector.text, vector.key)).toEqual(keyOf(vector));
});

test.each(vectors.filter(({ version }) => version === 2))('$name is written as it was', (vector) => {
  expect(encodeKey(keyOf(vector))).toBe(vector.text);
});
