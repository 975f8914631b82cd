import { hash, randomBytes } from 'node:crypto';
import { type DigestName, digestLengths } from './signature-scheme.ts';

/**
 * The signature paddings of RFC 8017, written out because node:crypto pads only messages that it hashes itself, and KMS
 * signs ready digests. `length` is the modulus in bytes; Keyfleet's moduli are whole bytes, so emBits is 8 * length -
 * 1.
 */

/** The DER of DigestInfo up to the digest (RFC 8017 section 9.2, note 1). */
const digestInfo: Readonly<Record<DigestName, Buffer>> = {
  sha256: Buffer.from('3031300d060960864801650304020105000420', 'hex'),
  sha384: Buffer.from('3041300d060960864801650304020205000430', 'hex'),
  sha512: Buffer.from('3051300d060960864801650304020305000440', 'hex'),
};

/** EMSA-PKCS1-v1_5 (section 9.2). Each digest has exactly one encoding, so verification compares and parses nothing. */
export function encodePkcs1(name: DigestName, digest: Uint8Array, length: number): Buffer {
  const encoded = Buffer.alloc(length, 0xff);
  const tail = [Buffer.of(0), digestInfo[name], digest];
  encoded.set([0, 1]);
  encoded.set(Buffer.concat(tail), length - digestInfo[name].length - digest.length - 1);
  return encoded;
}

/** EMSA-PSS-ENCODE (section 9.1.1) with a salt as long as the hash, as in AWS KMS. */
export function encodePss(name: DigestName, digest: Uint8Array, length: number): Buffer {
  const salt = randomBytes(digestLengths[name]);
  const h = pssHash(name, digest, salt);
  const db = Buffer.alloc(length - h.length - 1);
  db[db.length - salt.length - 1] = 1;
  db.set(salt, db.length - salt.length);
  return Buffer.concat([masked(name, h, db), h, Buffer.of(0xbc)]);
}

/** EMSA-PSS-VERIFY (section 9.1.2) with a fixed salt length. */
export function verifyPss(name: DigestName, digest: Uint8Array, encoded: Buffer): boolean {
  const hashLength = digestLengths[name];
  const maskedDb = encoded.subarray(0, encoded.length - hashLength - 1);
  const h = encoded.subarray(maskedDb.length, -1);
  if (encoded.at(-1) !== 0xbc || (maskedDb[0]! & 0x80) !== 0) return false;
  const db = masked(name, h, maskedDb);
  const separator = db.length - hashLength - 1;
  if (db[separator] !== 1 || db.subarray(0, separator).some((byte) => byte !== 0)) return false;
  return pssHash(name, digest, db.subarray(separator + 1)).equals(h);
}

function pssHash(name: DigestName, digest: Uint8Array, salt: Uint8Array): Buffer {
  return hash(name, Buffer.concat([Buffer.alloc(8), digest, salt]), 'buffer');
}

/** `db` xor MGF1 of `seed`, with the bit above emBits cleared. Masks and unmasks. */
function masked(name: DigestName, seed: Uint8Array, db: Buffer): Buffer {
  const out = Buffer.alloc(db.length);
  for (let at = 0, counter = 0; at < db.length; counter++) {
    const block = Buffer.concat([seed, Buffer.of(0, 0, 0, counter)]);
    for (const byte of hash(name, block, 'buffer')) {
      if (at === db.length) break;
      out[at] = db[at]! ^ byte;
      at++;
    }
  }
  out[0]! &= 0x7f;
  return out;
}
