import { createCipheriv, createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { RefusedError } from '../errors.ts';
import type { Random } from './random.ts';
import { encryptOaep } from './rsa-oaep.ts';

const modulusBits: readonly (number | undefined)[] = [2048, 3072, 4096];

const SEQUENCE = 0x30;
const SET = 0x31;
/** Context-specific tag 0, constructed and primitive. */
const EXPLICIT = 0xa0;
const IMPLICIT = 0x80;
const OCTET_STRING = 0x04;

/** Object identifiers and INTEGER 2, as DER elements. */
const envelopedData = element('06092a864886f70d010703');
const data = element('06092a864886f70d010701');
const aes256Cbc = element('060960864801650304012a');
const version2 = element('020102');
/** RSAES-OAEP with SHA-256 and MGF1 with SHA-256: an AlgorithmIdentifier (RFC 4055, 4.1). */
const rsaesOaep = element(
  '303c06092a864886f70d010107302fa00f300d06096086480165030402010500' +
    'a11c301a06092a864886f70d010108300d06096086480165030402010500',
);

/** The key of a recipient. Refuses with `invalid-input` if it is not RSA of 2048, 3072 or 4096 bits. */
export function recipientKeyOf(spki: Uint8Array): KeyObject {
  const key = publicKeyOf(spki);
  const details = key?.asymmetricKeyDetails;
  if (key?.asymmetricKeyType === 'rsa' && modulusBits.includes(details?.modulusLength)) return key;
  throw new RefusedError('invalid-input');
}

function publicKeyOf(spki: Uint8Array): KeyObject | undefined {
  try {
    return createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
  } catch {
    return undefined;
  }
}

/**
 * CMS EnvelopedData (RFC 5652, 6.1) as AWS KMS makes it: one recipient, named by a key identifier; RSAES-OAEP; AES-256
 * in CBC mode. Of indefinite length wherever AWS's is, because its Nitro Enclaves SDK reads nothing else.
 */
export function envelopedFor(
  recipient: KeyObject,
  plaintext: Uint8Array,
  { random, nonce }: { readonly random: Random; readonly nonce: Random },
): Buffer {
  const contentKey = random(32);
  try {
    const iv = nonce(16);
    const cipher = createCipheriv('aes-256-cbc', contentKey, iv);
    const encrypted = Buffer.concat([cipher.update(plaintext), cipher.final()]);
    const keyId = createHash('sha256')
      .update(recipient.export({ format: 'der', type: 'spki' }))
      .digest();
    const encryptedKey = encryptOaep(recipient, 'SHA-256', contentKey);
    const keyTransport = der(SEQUENCE, version2, der(IMPLICIT, keyId), rsaesOaep, der(OCTET_STRING, encryptedKey));
    const algorithm = der(SEQUENCE, aes256Cbc, der(OCTET_STRING, iv));
    const content = indefinite(SEQUENCE, data, algorithm, indefinite(EXPLICIT, der(OCTET_STRING, encrypted)));
    const enveloped = indefinite(SEQUENCE, version2, der(SET, keyTransport), content);
    return indefinite(SEQUENCE, envelopedData, indefinite(EXPLICIT, enveloped));
  } finally {
    contentKey.fill(0);
  }
}

function element(hex: string): Buffer {
  return Buffer.from(hex, 'hex');
}

function der(tag: number, ...contents: readonly Buffer[]): Buffer {
  const content = Buffer.concat(contents);
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.of(tag, length), content]);
  if (length < 0x100) return Buffer.concat([Buffer.of(tag, 0x81, length), content]);
  return Buffer.concat([Buffer.of(tag, 0x82, length >> 8, length & 0xff), content]);
}

function indefinite(tag: number, ...contents: readonly Buffer[]): Buffer {
  return Buffer.concat([Buffer.of(tag, 0x80), ...contents, Buffer.of(0, 0)]);
}
