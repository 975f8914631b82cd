import { nobleSignatures as noble } from '@keyfleet/test-support/noble-signatures';
import { createHash, createPrivateKey, createPublicKey, createSecretKey, type KeyObject } from 'node:crypto';
import { open, seal } from '@keyfleet/shared/encoding/aead';
import { wrapKey } from '@keyfleet/shared/wrap-material';
import { deriveSharedSecret, peerPublicKey } from '../../services/hsm-worker/src/boundary/crypto/ecdh.ts';
import { unwrapKey } from '../../services/hsm-worker/src/boundary/crypto/key-wrap.ts';
import { macMatches, macOf } from '../../services/hsm-worker/src/boundary/crypto/mac.ts';
import {
  decapsulateWith,
  encapsulateFrom,
  encapsulateUnder,
} from '../../services/hsm-worker/src/boundary/crypto/ml-kem.ts';
import { decryptOaep, encryptOaep, type OaepHash } from '../../services/hsm-worker/src/boundary/crypto/rsa-oaep.ts';
import { signatureSchemes } from '../../services/hsm-worker/src/boundary/crypto/signature.ts';
import { digestOf, type Message } from '../../services/hsm-worker/src/boundary/crypto/signature-scheme.ts';

const threads = { noble, pooled: <T>(work: () => Promise<T>) => work() };

/**
 * Fields of a test group or a vector, as they stand in the file; a group has its `file` name too, which alone tells
 * some algorithms.
 */
export type Fields = Readonly<Record<string, unknown>>;

/** True: Keyfleet's code took the vector and gave the right answer. False: it refused. `skip`: it has no such thing. */
export type Verdict = boolean | { readonly skip: string };

/** Judges one vector of a file's type. May throw to refuse. */
export type Judge = (group: Fields, vector: Fields) => Verdict | Promise<Verdict>;

/** By the group's `type`. */
export const judges: Readonly<Record<string, Judge>> = {
  AeadTest(group, vector) {
    if (group['keySize'] !== 256) return { skip: 'AES-GCM with a key that is not 256 bits' };
    if (group['ivSize'] !== 96) return { skip: 'AES-GCM with an IV that is not 96 bits' };
    const sealing = { key: hex(vector, 'key'), iv: hex(vector, 'iv'), associatedData: hex(vector, 'aad') };
    const opened = open(sealing, { ciphertext: hex(vector, 'ct'), tag: hex(vector, 'tag') });
    const [ciphertext, tag] = seal(sealing, opened);
    return same(opened, vector, 'msg') && same(ciphertext, vector, 'ct') && same(tag, vector, 'tag');
  },

  KeywrapTest(group, vector) {
    if (group['keySize'] !== 256) return { skip: 'AES-KWP with a key that is not 256 bits' };
    const unwrapped = unwrapKey(hex(vector, 'key'), hex(vector, 'ct'));
    return same(unwrapped, vector, 'msg') && same(wrapKey(hex(vector, 'key'), unwrapped), vector, 'ct');
  },

  MacTest(group, vector) {
    const hash = /sha\d+/.exec(text(group, 'file'))![0];
    const mac = macOf(createSecretKey(hex(vector, 'key')), hash, hex(vector, 'msg'));
    if (group['tagSize'] !== mac.length * 8) {
      // Keyfleet never truncates a code, so a truncated one must never verify.
      if (macMatches(mac, hex(vector, 'tag'))) throw new Error('a truncated code verified');
      return { skip: 'truncated HMAC' };
    }
    return macMatches(mac, hex(vector, 'tag'));
  },

  async EcdhTest(group, vector) {
    const namedCurve = { secp256r1: 'P-256', secp384r1: 'P-384', secp521r1: 'P-521' }[text(group, 'curve')]!;
    const length = { 'P-256': 32, 'P-384': 48, 'P-521': 66 }[namedCurve]!;
    // The file writes the scalar as a signed integer of any length.
    const scalar = BigInt(`0x${text(vector, 'private')}`)
      .toString(16)
      .padStart(length * 2, '0');
    const privateKey = createPrivateKey({
      key: Buffer.from(scalar, 'hex'),
      format: 'raw-private',
      asymmetricKeyType: 'ec',
      namedCurve,
    });
    return same(
      await deriveSharedSecret(privateKey, peerPublicKey(createPublicKey(privateKey), hex(vector, 'public'))),
      vector,
      'shared',
    );
  },

  async RsaesOaepDecrypt(group, vector) {
    if (vector['label'] !== '') return { skip: 'OAEP with a label' };
    const key = pkcs8(text(group, 'privateKeyPkcs8'));
    const hash = text(group, 'sha') as OaepHash;
    const decrypted = await decryptOaep(key, hash, hex(vector, 'ct'));
    const again = await decryptOaep(key, hash, encryptOaep(createPublicKey(key), hash, decrypted));
    return same(decrypted, vector, 'msg') && again.equals(decrypted);
  },

  RsassaPkcs1Verify: (group, vector) => verifies(`RSASSA_PKCS1_V1_5_${shaOf(group)}`, spki(group), vector),
  RsassaPssVerify: (group, vector) => verifies(`RSASSA_PSS_${shaOf(group)}`, spki(group), vector),
  EcdsaVerify: (group, vector) => verifies(`ECDSA_${shaOf(group)}`, spki(group), vector),
  EddsaVerify: (group, vector) => verifies('ED25519_SHA_512', spki(group), vector),

  async RsassaPkcs1Generate(group, vector) {
    const scheme = signatureSchemes[`RSASSA_PKCS1_V1_5_${shaOf(group)}`];
    if (scheme === undefined) return { skip: `RSA signatures with ${text(group, 'sha')}` };
    const message: Message = { messageType: 'RAW', message: hex(vector, 'msg') };
    return same(await scheme.sign(pkcs8(text(group, 'privateKeyPkcs8')), message, threads), vector, 'sig');
  },

  async MlDsaVerify(group, vector) {
    if (text(vector, 'ctx') !== '') return { skip: 'ML-DSA with a context' };
    const publicKey = spki(group);
    const valid = await verifies('ML_DSA_SHAKE_256', publicKey, vector);
    const signed = { message: muOf(publicKey, hex(vector, 'msg')), signature: hex(vector, 'sig') };
    if ((await noble.verify('ml-dsa-mu', publicKey, signed)) !== valid) throw new Error('RAW and EXTERNAL_MU disagree');
    return valid;
  },

  async MlDsaSign(group, vector) {
    const scheme = signatureSchemes['ML_DSA_SHAKE_256']!;
    const asymmetricKeyType = `ml-dsa-${/\d+/.exec(text(group, 'file'))![0]}` as 'ml-dsa-44';
    const privateKey = createPrivateKey({ key: hex(group, 'privateSeed'), format: 'raw-seed', asymmetricKeyType });
    const publicKey = createPublicKey(privateKey);
    if (vector['mu'] === undefined) return { skip: 'ML-DSA with a context' };
    const messages: Message[] = [{ messageType: 'EXTERNAL_MU', message: hex(vector, 'mu') }];
    const hasContext = text(vector, 'ctx') !== '';
    if (vector['msg'] !== undefined && !hasContext) messages.push({ messageType: 'RAW', message: hex(vector, 'msg') });
    // Keyfleet's signatures are hedged, so that its own differ from the file's; each must verify in every way.
    const signatures = [
      hex(vector, 'sig'),
      await scheme.sign(privateKey, messages[0]!, threads),
      await scheme.sign(privateKey, messages.at(-1)!, threads),
    ];
    for (const message of messages) {
      for (const signature of signatures)
        if (!(await scheme.verify(publicKey, { ...message, signature }, threads))) return false;
    }
    return true;
  },

  MLKEMTest(group, vector) {
    const asymmetricKeyType = text(group, 'parameterSet').toLowerCase() as 'ml-kem-512';
    const key = createPrivateKey({ key: hex(vector, 'seed'), format: 'raw-seed', asymmetricKeyType });
    const publicKey = createPublicKey(key).export({ format: 'raw-public' });
    return same(decapsulateWith(key, hex(vector, 'c')), vector, 'K') && same(publicKey, vector, 'ek');
  },

  MLKEMEncapsTest(group, vector) {
    const isWrapping = text(group, 'parameterSet') === 'ML-KEM-1024';
    const byNoble = isWrapping && encapsulates(vector);
    if (isWrapping && byNoble !== (vector['result'] === 'valid')) return byNoble;
    const asymmetricKeyType = text(group, 'parameterSet').toLowerCase() as 'ml-kem-512';
    const key = createPublicKey({ key: hex(vector, 'ek'), format: 'raw-public', asymmetricKeyType });
    // The vector's own ciphertext cannot be made again: OpenSSL draws the message itself.
    return encapsulateUnder(key).ciphertext.length === hex(vector, 'c').length;
  },
};

/** By the library that wraps DKEKs, with the message of the vector. */
function encapsulates(vector: Fields): boolean {
  try {
    const { ciphertext, sharedSecret } = encapsulateFrom(hex(vector, 'm'), hex(vector, 'ek'));
    return same(ciphertext, vector, 'c') && same(sharedSecret, vector, 'K');
  } catch {
    return false;
  }
}

/** By message and, where the algorithm takes one, by digest: both must say the same. */
async function verifies(algorithm: string, publicKey: KeyObject, vector: Fields): Promise<boolean> {
  const scheme = signatureSchemes[algorithm]!;
  const raw: Message = { messageType: 'RAW', message: hex(vector, 'msg') };
  const signature = hex(vector, 'sig');
  const valid = await scheme.verify(publicKey, { ...raw, signature }, threads);
  if (/^(RSASSA|ECDSA)/.test(algorithm)) {
    const digest = digestOf(`sha${algorithm.slice(-3)}` as 'sha256', raw);
    const signed = { messageType: 'DIGEST' as const, message: digest, signature };
    const byDigest = await scheme.verify(publicKey, signed, threads);
    if (byDigest !== valid) throw new Error('RAW and DIGEST disagree');
  }
  return valid;
}

/** mu of a message with an empty context (FIPS 204 algorithm 7, line 6). */
function muOf(publicKey: KeyObject, message: Uint8Array): Buffer {
  const shake = (...parts: Uint8Array[]) =>
    createHash('shake256', { outputLength: 64 }).update(Buffer.concat(parts)).digest();
  return shake(shake(publicKey.export({ format: 'raw-public' })), Buffer.of(0, 0), message);
}

function hex(fields: Fields, name: string): Buffer {
  return Buffer.from(text(fields, name), 'hex');
}

function text(fields: Fields, name: string): string {
  return (fields[name] as string | undefined) ?? '';
}

function same(bytes: Uint8Array, vector: Fields, name: string): boolean {
  return hex(vector, name).equals(bytes);
}

/** SHA-256 as the API's names have it: SHA_256. */
function shaOf(group: Fields): string {
  return text(group, 'sha').replace('-', '_');
}

function spki(group: Fields): KeyObject {
  return createPublicKey({ key: hex(group, 'publicKeyDer'), format: 'der', type: 'spki' });
}

function pkcs8(der: string): KeyObject {
  return createPrivateKey({ key: Buffer.from(der, 'hex'), format: 'der', type: 'pkcs8' });
}
