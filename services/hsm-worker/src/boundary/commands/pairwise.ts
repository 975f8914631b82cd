import { algorithmsOf, type KeyUsage } from '@keyfleet/shared/key-specs';
import type { Caller } from '../caller.ts';
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
type Check = (backingKey: BackingKey, context: Context, caller: Caller | undefined) => boolean | Promise<boolean>;

const message = Buffer.from('keyfleet pairwise consistency');

/** By usage: what one half of a key pair does, the other must undo. */
const checks: Readonly<Partial<Record<KeyUsage, Check>>> = {
  async SIGN_VERIFY({ account = '', keyId, keySpec, keyUsage, key, publicKey }, context, caller) {
    const threads = threadsOf({ account, keyId }, context, caller);
    const scheme = signatureSchemes[algorithmsOf({ keySpec, keyUsage })[0]!]!;
    const raw = { messageType: 'RAW', message } as const;
    return scheme.verify(publicKey, { ...raw, signature: await scheme.sign(key, raw, threads) }, threads);
  },
  async ENCRYPT_DECRYPT({ account = '', keyId, key, publicKey }, { poolTurns }, caller) {
    const ciphertext = encryptOaep(publicKey, 'SHA-256', message);
    const decrypt = () => decryptOaep(key, 'SHA-256', ciphertext);
    return message.equals(await poolTurns.run({ account, keyId }, caller, decrypt));
  },
  async KEY_AGREEMENT({ account = '', keyId, keySpec, key, publicKey }, { poolTurns, rsaKeyPairs }, caller) {
    const peer = (await newKeyPair(keySpec, rsaKeyPairs, { account, caller }))!;
    const agree = async () => {
      const ours = await deriveSharedSecret(key, peer.publicKey);
      return ours.equals(await deriveSharedSecret(peer.privateKey, publicKey));
    };
    return poolTurns.run({ account, keyId }, caller, agree);
  },
  ENCAPSULATE_DECAPSULATE({ key, publicKey }) {
    const { sharedSecret, ciphertext } = encapsulateUnder(publicKey);
    return sharedSecret.equals(decapsulateWith(key, ciphertext));
  },
};

/**
 * Whether the two halves of a key pair belong together (SP 800-56A 5.6.2.1.4). A PKCS #8 may claim any public key for
 * its private one, and OpenSSL does not check: nobody could decrypt what was encrypted under a wrong one. Refuses with
 * `overloaded` and `expired`, as all work that has to queue.
 */
export async function isPair(backingKey: BackingKey, context: Context, caller: Caller | undefined): Promise<boolean> {
  try {
    return await checks[backingKey.keyUsage]!(backingKey, context, caller);
  } catch (error) {
    // It says nothing of the key that others are in the queue before it.
    if (error instanceof RefusedError) throw error;
    return false;
  }
}
