import { encodedPublicKey } from '@keyfleet/shared/domain/signature';
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { dirname } from 'node:path';
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { CliError } from './cli-error.ts';
import { isOperatorKeyFile, openOperatorKey, sealOperatorKey } from './operator-key-file.ts';

/**
 * Makes a person's key: ECDSA P-384 sealed under a passphrase, mode 0600. Returns the public key (DER SPKI). Never
 * overwrites a file.
 */
export function createOperatorKey(path: string, passphrase: string): Buffer {
  const { privateKey } = newSigningKey();
  writeNewFile(path, sealOperatorKey(privateKey, passphrase));
  return encodedPublicKey(privateKey);
}

/**
 * Makes the key of a service (frontend or domain-manager), which must start without a person: PKCS #8 PEM, mode 0600,
 * no passphrase.
 */
export function createHostKey(path: string): Buffer {
  const { privateKey } = newSigningKey();
  writeNewFile(path, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  return encodedPublicKey(privateKey);
}

function newSigningKey(): { privateKey: KeyObject } {
  return generateKeyPairSync('ec', { namedCurve: 'P-384' });
}

/**
 * How a signing key's file protects it. `pbes2`: like files from before keyfleet/operator-key/1, which a graphics card
 * can attack fast.
 */
export type KeyProtection = 'none' | 'pbes2' | 'scrypt';

export interface SigningKey {
  readonly key: KeyObject;
  readonly protection: KeyProtection;
}

/** Calls `askPassphrase` only if the file is protected. Throws CliError. */
export async function loadSigningKey(path: string, askPassphrase: () => Promise<string>): Promise<SigningKey> {
  const text = readTextFile(path);
  const protection = protectionOf(text);
  const passphrase = protection === 'none' ? undefined : await askPassphrase();
  const key = openKey(path, text, passphrase);
  if (key.asymmetricKeyDetails?.namedCurve !== 'secp384r1') {
    throw new CliError(`${path} is not a P-384 key. Make one with: keyfleet operator create-key`);
  }
  return { key, protection };
}

function protectionOf(text: string): KeyProtection {
  if (isOperatorKeyFile(text)) return 'scrypt';
  return text.includes('ENCRYPTED') ? 'pbes2' : 'none';
}

function openKey(path: string, text: string, passphrase: string | undefined): KeyObject {
  try {
    if (passphrase === undefined) return createPrivateKey(text);
    return isOperatorKeyFile(text) ? openOperatorKey(text, passphrase) : createPrivateKey({ key: text, passphrase });
  } catch (cause) {
    const reason = passphrase === undefined ? 'it is not a private key' : 'wrong passphrase, or a damaged file';
    throw new CliError(`cannot open the key ${path}: ${reason}.`, { cause });
  }
}

/** Mode 0600; fails rather than overwrite. */
export function writeNewFile(path: string, content: string | Uint8Array): void {
  try {
    writeFileSync(path, content, { mode: 0o600, flag: 'wx' });
  } catch (cause) {
    const exists = (cause as NodeJS.ErrnoException).code === 'EEXIST';
    const reason = exists ? 'the file already exists' : (cause as Error).message;
    throw new CliError(`cannot write ${path}: ${reason}.`, { cause });
  }
}

/** Mode 0600. Whatever happens, either the old file or the new one is there, whole. */
export function replaceFile(path: string, content: string | Uint8Array): void {
  const aside = `${path}.new`;
  flush(aside, 'w', (file) => writeFileSync(file, content));
  renameSync(aside, path);
  // The name too: after a power cut an offline member that forgot its token would make a second one.
  flush(dirname(path), 'r');
}

function flush(path: string, flags: 'w' | 'r', write?: (file: number) => void): void {
  const file = openSync(path, flags, 0o600);
  try {
    write?.(file);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

export function readTextFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new CliError(`cannot read ${path} (${(cause as NodeJS.ErrnoException).code ?? 'unknown error'}).`, { cause });
  }
}
