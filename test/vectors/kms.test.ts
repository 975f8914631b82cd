import { type GoldenKeyring, goldenKeyring, onlyBytes } from '@keyfleet/test-support/golden';
import { createSecretKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Format } from '@keyfleet/shared/encoding/canonical';
import { parseBlobHeader } from '@keyfleet/shared/hsm/ciphertext-blob';
import { ExportedKeyToken, ExportedKeyTokenV1 } from '@keyfleet/shared/hsm/exported-key-token';
import { describe, expect, test } from 'vitest';
import { type GrantName, readGrantToken, sealGrantToken } from '../../services/frontend/src/grants/grant-token.ts';
import { deriveKey } from '../../services/hsm-worker/src/boundary/crypto/kdf.ts';
import type { Keyring } from '../../services/hsm-worker/src/boundary/domain/keyring.ts';
import { BackingKey } from '../../services/hsm-worker/src/boundary/keys/backing-keys.ts';
import { openBlob, sealBlob } from '../../services/hsm-worker/src/boundary/tokens/ciphertext-blob.ts';
import { CredentialToken } from '../../services/hsm-worker/src/boundary/tokens/stored-token.ts';
import { openExportedKey } from '../../services/hsm-worker/src/boundary/tokens/exported-key-token.ts';
import { ImportToken } from '../../services/hsm-worker/src/boundary/tokens/import-token.ts';
import { materialIdOf } from '../../services/hsm-worker/src/boundary/tokens/material-id.ts';
import { openToken, type SealedHeader, sealToken } from '../../services/hsm-worker/src/boundary/tokens/sealed-token.ts';

/**
 * Golden vectors: every format of docs/formats.md that is kept for long. They only ever grow, since what was sealed
 * must open for ever.
 */

function vectors<T>(file: string): (T & { readonly comment: string })[] {
  return JSON.parse(readFileSync(join(import.meta.dirname, 'kms', file), 'utf8')) as (T & { comment: string })[];
}

const hex = (text: string): Buffer => Buffer.from(text, 'hex');
const refused = (refusal: string) => expect.objectContaining({ name: 'RefusedError', refusal });

test.each(vectors<{ backingKey: string; nonce: string; derivedKey: string }>('derived-key.json'))(
  'derived key: $comment',
  ({ backingKey, nonce, derivedKey }) => {
    expect(deriveKey(createSecretKey(hex(backingKey)), hex(nonce)).toString('hex')).toBe(derivedKey);
  },
);

test.each(
  vectors<{ materialIdKey: string; keyId: string; material: string; materialId: string }>('key-material-id.json'),
)('key material id: $comment', ({ materialIdKey, keyId, material, materialId }) => {
  const id = materialIdOf(createSecretKey(hex(materialIdKey)), { keyId, material: hex(material) });
  expect(id.toString('hex')).toBe(materialId);
});

interface GrantTokenVector extends GrantName {
  readonly domainKeyId: string;
  readonly key: string;
  readonly nonce: string;
  readonly token: string;
}

test.each(vectors<GrantTokenVector>('grant-token-2.json'))('grant token: $comment', (vector) => {
  const { domainKeyId, region, keyId, grantId, token } = vector;
  const key = createSecretKey(hex(vector.key));
  expect(sealGrantToken({ domainKeyId, key }, { region, keyId, grantId }, hex(vector.nonce))).toBe(token);
  const read = readGrantToken(token)!;
  expect(read).toMatchObject({ domainKeyId, region, keyId, grantId });
  expect([read.isGenuine(key), read.isGenuine(createSecretKey(Buffer.alloc(32)))]).toEqual([true, false]);
});

interface BlobVector {
  readonly keyId: string;
  readonly materialId: string;
  readonly backingKey: string;
  readonly encryptionContext: Record<string, string>;
  readonly plaintext: string;
  readonly random: string;
  readonly blob: string;
  readonly expect: 'success' | 'cannot-open';
}

describe('ciphertext blob', () => {
  test.each(vectors<BlobVector>('ciphertext-blob.json'))('$comment', (vector) => {
    const { encryptionContext, plaintext, keyId, materialId } = vector;
    const header = { keyId, materialId: hex(materialId), origin: 'AWS_KMS' } as const;
    const key = { ...header, keySpec: 'SYMMETRIC_DEFAULT', keyUsage: 'ENCRYPT_DECRYPT' } as const;
    const backingKey = new BackingKey(key, hex(vector.backingKey));
    if (vector.expect !== 'success') {
      expect(() => openBlob(backingKey, hex(vector.blob), encryptionContext)).toThrow(refused(vector.expect));
      return;
    }
    expect(openBlob(backingKey, hex(vector.blob), encryptionContext).toString('hex')).toBe(plaintext);
    const sealing = { encryptionContext, plaintext: hex(plaintext) };
    expect(sealBlob(backingKey, sealing, onlyBytes(hex(vector.random))).toString('hex')).toBe(vector.blob);
    expect(parseBlobHeader(hex(vector.blob))).toEqual({ version: 1, keyId, materialId: hex(materialId) });
  });
});

interface TokenVector extends GoldenKeyring {
  /** Without domain and domain key; bytes in hex. */
  readonly header: Record<string, string | number>;
  readonly secret: string;
  readonly random: string;
  readonly token: string;
  readonly expect: 'success' | 'cannot-open' | 'unknown-domain-key';
}

/** Fields of a token's header that are bytes. */
const byteFields = ['materialId'];

type Open = (token: Uint8Array, keyring: Keyring) => { header: SealedHeader; secret: Buffer };

function checkToken(format: Format<SealedHeader>, vector: TokenVector, open: Open = openerOf(format)): void {
  const keyring = goldenKeyring(vector);
  if (vector.expect !== 'success') {
    expect(() => open(hex(vector.token), keyring)).toThrow(refused(vector.expect));
    return;
  }
  const header = Object.fromEntries(
    Object.entries(vector.header).map(([name, value]) => [
      name,
      typeof value === 'string' && byteFields.includes(name) ? hex(value) : value,
    ]),
  );
  const opened = open(hex(vector.token), keyring);
  expect(opened.secret.toString('hex')).toBe(vector.secret);
  expect(opened.header).toEqual({ ...header, domain: vector.domain, domainKeyId: keyring.active.id });
  const sealed = sealToken(
    format,
    { header, secret: hex(vector.secret) },
    { keyring, nonce: onlyBytes(hex(vector.random)) },
  );
  expect(sealed.toString('hex')).toBe(vector.token);
}

function openerOf(format: Format<SealedHeader>): Open {
  return (token, keyring) => openToken(format, token, keyring);
}

describe('exported key token', () => {
  test.each(vectors<TokenVector>('exported-key-token.json'))('version 1: $comment', (vector) => {
    checkToken(ExportedKeyTokenV1 as Format<SealedHeader>, vector);
  });

  test.each(vectors<TokenVector>('exported-key-token-2.json'))('version 2: $comment', (vector) => {
    checkToken(ExportedKeyToken as Format<SealedHeader>, vector, openExportedKey);
  });
});

describe('credential token', () => {
  test.each(vectors<TokenVector>('credential-token.json'))('$comment', (vector) => {
    checkToken(CredentialToken as Format<SealedHeader>, vector);
  });
});

describe('import token', () => {
  test.each(vectors<TokenVector>('import-token.json'))('$comment', (vector) => {
    checkToken(ImportToken as Format<SealedHeader>, vector);
  });
});
