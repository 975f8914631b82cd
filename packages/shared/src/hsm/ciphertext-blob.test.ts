import { describe, expect, test } from 'vitest';
import { FormatError } from '../encoding/bytes.ts';
import { blobLayout, blobOverhead, blobPrefixOf, parseBlobHeader } from './ciphertext-blob.ts';

const materialId = Buffer.alloc(32, 9);
const uuid = '0a1b2c3d-4e5f-4061-8293-a4b5c6d7e8f9';
const multiRegion = 'mrk-0a1b2c3d4e5f40618293a4b5c6d7e8f9';

describe('the clear header of a ciphertext blob', () => {
  test.each([uuid, multiRegion])('names key %s and its material', (keyId) => {
    const prefix = blobPrefixOf({ keyId, materialId });
    expect(prefix).toHaveLength(blobLayout.nonce);
    const blob = Buffer.concat([prefix, Buffer.alloc(blobOverhead - prefix.length)]);
    expect(parseBlobHeader(blob)).toEqual({ keyId, materialId, version: 1 });
    expect(parseBlobHeader(new Uint8Array(blob))).toEqual({ keyId, materialId, version: 1 });
    expect(() => parseBlobHeader(blob.subarray(0, -1))).toThrow(FormatError);
  });

  test('a blob of version 2 is of an external key store, and begins the same', () => {
    const blob = Buffer.concat([blobPrefixOf({ keyId: uuid, materialId }), Buffer.alloc(100)]);
    blob[0] = 2;
    expect(parseBlobHeader(blob)).toEqual({ keyId: uuid, materialId, version: 2 });
  });

  test('another version or kind of key id is not a blob', () => {
    const blob = Buffer.concat([blobPrefixOf({ keyId: uuid, materialId }), Buffer.alloc(100)]);
    for (const [at, value] of [
      [0, 0],
      [0, 4],
      [1, 2],
      [1, 255],
    ] as const) {
      const changed = Buffer.from(blob);
      changed[at] = value;
      expect(() => parseBlobHeader(changed)).toThrow(FormatError);
    }
    expect(() => parseBlobHeader(Buffer.of())).toThrow(FormatError);
  });

  test('only key ids in their one form have a place in it', () => {
    const others = [
      '',
      uuid.toUpperCase(),
      uuid.replaceAll('-', ''),
      `mrk-${uuid}`,
      `${uuid}\n`,
      multiRegion.slice(0, -1),
    ];
    for (const keyId of others) {
      expect(() => blobPrefixOf({ keyId, materialId })).toThrow(FormatError);
    }
    for (const keyId of [uuid, multiRegion]) expect(blobPrefixOf({ keyId, materialId })).toHaveLength(blobLayout.nonce);
    expect(() => blobPrefixOf({ keyId: uuid, materialId: Buffer.alloc(31) })).toThrow(FormatError);
  });
});
