import { CannotOpenError, ivLength, open, seal } from '@keyfleet/shared/encoding/aead';
import { FormatError } from '@keyfleet/shared/encoding/bytes';
import { defineFormat } from '@keyfleet/shared/encoding/canonical';
import { blobLayout, blobOverhead } from '@keyfleet/shared/hsm/ciphertext-blob';
import { lengthOfPairs, MAX_ENCRYPTION_CONTEXT } from '@keyfleet/shared/hsm/encryption-context';
import { z } from 'zod';
import { RefusedError } from '../errors.ts';
import type { Random } from '../crypto/random.ts';
import { deriveKey, nonceLength } from '../crypto/kdf.ts';
import type { BackingKey } from '../keys/backing-keys.ts';

export type EncryptionContext = Readonly<Record<string, string>>;

/** An encryption context as associated data: sorted and length-prefixed, so that {"ab":"c"} is not {"a":"bc"}. */
const EncryptionContextFormat = defineFormat(
  'keyfleet/encryption-context/1',
  z.strictObject({ pairs: z.record(z.string(), z.string()) }),
);

/**
 * Encrypts under a key derived for this one call from the backing key and a fresh N. The layout is in
 * @keyfleet/shared/hsm/ciphertext-blob.
 */
export function sealBlob(
  backingKey: BackingKey,
  { encryptionContext, plaintext }: { encryptionContext: EncryptionContext; plaintext: Uint8Array },
  nonce: Random,
): Buffer {
  const drawn = nonce(nonceLength + ivLength);
  const associatedData = Buffer.concat([backingKey.blobPrefix, drawn, contextBytes(encryptionContext)]);
  const header = associatedData.subarray(0, blobLayout.ciphertext);
  const key = deriveKey(backingKey.key, header.subarray(blobLayout.nonce, blobLayout.iv));
  try {
    const [ciphertext, tag] = seal({ key, iv: header.subarray(blobLayout.iv), associatedData }, plaintext);
    return Buffer.concat([header, ciphertext, tag], plaintext.length + blobOverhead);
  } finally {
    key.fill(0);
  }
}

/**
 * Returns the plaintext. Refuses with `cannot-open` whatever the reason: another key, another context, one byte
 * changed, cut or added.
 */
export function openBlob(backingKey: BackingKey, blob: Buffer, encryptionContext: EncryptionContext): Buffer {
  const { nonce, iv, ciphertext, tagLength } = blobLayout;
  if (blob.length < blobOverhead || !backingKey.blobPrefix.equals(blob.subarray(0, nonce))) {
    throw new RefusedError('cannot-open');
  }
  const key = deriveKey(backingKey.key, blob.subarray(nonce, iv));
  try {
    const associatedData = Buffer.concat([blob.subarray(0, ciphertext), contextBytes(encryptionContext)]);
    return open(
      { key, iv: blob.subarray(iv, ciphertext), associatedData },
      { ciphertext: blob.subarray(ciphertext, -tagLength), tag: blob.subarray(-tagLength) },
    );
  } catch (error) {
    if (error instanceof CannotOpenError || error instanceof FormatError) throw new RefusedError('cannot-open');
    throw error;
  } finally {
    key.fill(0);
  }
}

const emptyContext = EncryptionContextFormat.encode({ pairs: {} });

/** Refuses with `invalid-input` what no frontend accepts from a caller. */
function contextBytes(encryptionContext: EncryptionContext): Buffer {
  if (lengthOfPairs(encryptionContext) > MAX_ENCRYPTION_CONTEXT) throw new RefusedError('invalid-input');
  for (const _ in encryptionContext) return EncryptionContextFormat.encode({ pairs: encryptionContext });
  return emptyContext;
}
