import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { CliError } from './cli-error.ts';

/**
 * Makes the key of a person: ECDSA P-384 as PKCS #8 PEM under a passphrase, mode 0600; returns the public key (DER SPKI).
 * Never overwrites. Without a passphrase the file alone is enough to sign: for development only.
 */
export function createOperatorKey(path: string, passphrase?: string): Buffer {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  const protection = passphrase === undefined ? {} : { cipher: 'aes-256-cbc', passphrase };
  writeNewFile(path, privateKey.export({ type: 'pkcs8', format: 'pem', ...protection }));
  return publicKey.export({ type: 'spki', format: 'der' });
}

/** Makes the key of a service (frontend or domain-manager), which must start without a person: mode 0600, no passphrase. */
export function createHostKey(path: string): Buffer {
  return createOperatorKey(path);
}

/** `askPassphrase` is called only when the file is protected. */
export async function loadSigningKey(path: string, askPassphrase: () => Promise<string>): Promise<KeyObject> {
  const pem = readTextFile(path);
  const passphrase = pem.includes('ENCRYPTED') ? await askPassphrase() : undefined;
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: pem, ...(passphrase === undefined ? {} : { passphrase }) });
  } catch (cause) {
    const reason = passphrase === undefined ? 'it is not a PEM private key' : 'wrong passphrase, or a damaged file';
    throw new CliError(`cannot open the key ${path}: ${reason}.`, { cause });
  }
  if (key.asymmetricKeyDetails?.namedCurve !== 'secp384r1') {
    throw new CliError(`${path} is not a P-384 key. Make one with: keyfleet operator create-key`);
  }
  return key;
}

/** DER SubjectPublicKeyInfo. */
export function publicKeyOf(key: KeyObject): Buffer {
  return createPublicKey(key).export({ type: 'spki', format: 'der' });
}

/** Mode 0600; fails rather than overwrite. */
export function writeNewFile(path: string, content: string | Uint8Array): void {
  try {
    writeFileSync(path, content, { mode: 0o600, flag: 'wx' });
  } catch (cause) {
    const exists = (cause as NodeJS.ErrnoException).code === 'EEXIST';
    const reason = exists ? 'it is already there, and is not overwritten' : (cause as Error).message;
    throw new CliError(`cannot write ${path}: ${reason}.`, { cause });
  }
}

export function readTextFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new CliError(`cannot read ${path} (${(cause as NodeJS.ErrnoException).code ?? 'unknown error'}).`, { cause });
  }
}
