import { algorithmsOf, type KeyUsage } from '@keyfleet/shared/key-specs';
import { deriveSharedSecret } from '../crypto/ecdh.ts';
import { decapsulateWith, encapsulateUnder } from '../crypto/ml-kem.ts';
import { decryptOaep, encryptOaep } from '../crypto/rsa-oaep.ts';
import { signatureSchemes } from '../crypto/signature.ts';
import { RefusedError } from '../errors.ts';
import type { BackingKey } from '../keys/backing-keys.ts';
import { newKeyPair } from '../keys/key-pair.ts';
import { threadsOf } from './signatures.ts';
import type { CommandContext } from './command.ts';

type Context = Pick<CommandContext, 'noble' | 'poolTurns' | 'rsaKeyPairs'>;
type Check = (backingKey: BackingKey, context: Context) => boolean | Promise<boolean>;

const message = Buffer.from('keyfleet pairwise consistency');

/** By usage: what one half of a key pair does, the other must undo. */
const checks: Readonly<Partial<Record<KeyUsage, Check>>> = {
  async SIGN_VERIFY({ account = '', keyId, keySpec, keyUsage, key, publicKey }, context) {
    const threads = threadsOf({ account, keyId }, context, undefined);
    const scheme = signatureSchemes[algorithmsOf({ keySpec, keyUsage })[0]!]!;
    const raw = { messageType: 'RAW', message } as const;
    return scheme.verify(publicKey, { ...raw, signature: await scheme.sign(key, raw, threads) }, threads);
  },
  async ENCRYPT_DECRYPT({ key, publicKey }) {
    return message.equals(await decryptOaep(key, 'SHA-256', encryptOaep(publicKey, 'SHA-256', message)));
  },
  async KEY_AGREEMENT({ account = '', keySpec, key, publicKey }, { rsaKeyPairs }) {
    const peer = (await newKeyPair(keySpec, rsaKeyPairs, { account, caller: undefined }))!;
    const ours = await deriveSharedSecret(key, peer.publicKey);
    return ours.equals(await deriveSharedSecret(peer.privateKey, publicKey));
  },
  ENCAPSULATE_DECAPSULATE({ key, publicKey }) {
    const { sharedSecret, ciphertext } = encapsulateUnder(publicKey);
    return sharedSecret.equals(decapsulateWith(key, ciphertext));
  },
};

/**
 * Whether the two halves of a key pair belong together (SP 800-56A 5.6.2.1.4). A PKCS #8 may claim any public key for
 * its private one, and OpenSSL does not check: nobody could decrypt what was encrypted under a wrong one. Throws
 * `RefusedError('overloaded')`.
 */
export async function isPair(backingKey: BackingKey, context: Context): Promise<boolean> {
  try {
    return await checks[backingKey.keyUsage]!(backingKey, context);
  } catch (error) {
    // It says nothing of the key that others are in the queue before it.
    if (error instanceof RefusedError && error.refusal === 'overloaded') throw error;
    return false;
  }
}
