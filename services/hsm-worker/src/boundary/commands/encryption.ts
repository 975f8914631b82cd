import { CannotOpenError } from '@keyfleet/shared/encoding/aead';
import { decryptOaep, encryptOaep, oaepCapacity, oaepHashes } from '../crypto/rsa-oaep.ts';
import type { BackingKey } from '../keys/backing-keys.ts';
import { type EncryptionContext, openBlob, sealBlob } from '../tokens/ciphertext-blob.ts';
import type { Random } from '../crypto/random.ts';
import { RefusedError } from '../errors.ts';
import { assertAlgorithm, backingKeyOf, type CommandHandler } from './command.ts';

export const encrypt: CommandHandler<'Encrypt'> = (input, context) => {
  const backingKey = backingKeyOf(input, 'ENCRYPT_DECRYPT', context);
  return { ciphertext: encryptUnder(backingKey, input, context.nonce) };
};

export const decrypt: CommandHandler<'Decrypt'> = (input, context, caller) => {
  const pooled: Pooled = (work) => context.poolTurns.run(input, caller, work);
  const plaintext = decryptUnder(backingKeyOf(input, 'ENCRYPT_DECRYPT', context), input, pooled);
  return plaintext instanceof Promise ? plaintext.then((opened) => ({ plaintext: opened })) : { plaintext };
};

export const reEncrypt: CommandHandler<'ReEncrypt'> = async (input, context, caller) => {
  const from = { keyId: input.sourceKeyId, account: input.sourceAccount, token: input.sourceToken };
  const to = { keyId: input.destinationKeyId, account: input.destinationAccount, token: input.destinationToken };
  const source = backingKeyOf(from, 'ENCRYPT_DECRYPT', context);
  const destination = backingKeyOf(to, 'ENCRYPT_DECRYPT', context);
  const { sourceAlgorithm: algorithm, sourceContext: encryptionContext, ciphertext } = input;
  const pooled: Pooled = (work) => context.poolTurns.run(from, caller, work);
  const plaintext = await decryptUnder(source, { algorithm, encryptionContext, ciphertext }, pooled);
  try {
    const options = { algorithm: input.destinationAlgorithm, encryptionContext: input.destinationContext, plaintext };
    return { ciphertext: encryptUnder(destination, options, context.nonce) };
  } finally {
    plaintext.fill(0);
  }
};

/** Has OpenSSL's thread pool do it, when the key's turn comes. */
type Pooled = (work: () => Promise<Buffer>) => Promise<Buffer>;

interface CipherOptions {
  readonly algorithm: string;
  /** Empty for RSA, which cannot bind one. */
  readonly encryptionContext: EncryptionContext;
}

function encryptUnder(
  backingKey: BackingKey,
  { plaintext, ...options }: CipherOptions & { plaintext: Uint8Array },
  nonce: Random,
): Buffer {
  const hash = hashOf(backingKey, options);
  if (hash === undefined) return sealBlob(backingKey, { plaintext, ...options }, nonce);
  if (plaintext.length > oaepCapacity(backingKey.publicKey, hash)) throw new RefusedError('invalid-input');
  return encryptOaep(backingKey.publicKey, hash, plaintext);
}

/** Refuses with `cannot-open`, whatever is wrong with the ciphertext. */
function decryptUnder(
  backingKey: BackingKey,
  { ciphertext, ...options }: CipherOptions & { ciphertext: Uint8Array },
  pooled: Pooled,
): Buffer | Promise<Buffer> {
  const hash = hashOf(backingKey, options);
  if (hash === undefined) return openBlob(backingKey, bufferOf(ciphertext), options.encryptionContext);
  return pooled(() => decryptOaep(backingKey.key, hash, ciphertext)).catch((error: unknown) => {
    throw error instanceof CannotOpenError ? new RefusedError('cannot-open') : error;
  });
}

/** The OAEP hash of an RSA algorithm, `undefined` for symmetric encryption. */
function hashOf(backingKey: BackingKey, { algorithm, encryptionContext }: CipherOptions) {
  assertAlgorithm(backingKey, algorithm);
  const hash = oaepHashes[algorithm];
  // To accept a context that is not bound to the ciphertext would promise a check that nobody makes.
  if (hash !== undefined && Object.keys(encryptionContext).length > 0) throw new RefusedError('invalid-input');
  return hash;
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
