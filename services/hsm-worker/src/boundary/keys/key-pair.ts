import { generateKeyPair, type KeyObject } from 'node:crypto';
import { type KeySpec, keySpecs } from '@keyfleet/shared/key-specs';
import type { Caller } from '../caller.ts';

export interface KeyPair {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

export type RsaBits = 2048 | 3072 | 4096;

/** For whom an RSA key pair is made or checked: hosts take turns, as do the accounts of a host. */
export interface RsaAsker {
  readonly account: string;
  readonly caller: Caller | undefined;
}

/** The source of fresh RSA key pairs. One takes up to seconds to make, so a pool keeps some. */
export interface RsaKeyPairs {
  take(bits: RsaBits, asker: RsaAsker): Promise<KeyPair>;
  /** Has the thread pool do what takes as long as to make a pair, in the same turns. */
  inTurn<T>(asker: RsaAsker, work: () => Promise<T>): Promise<T>;
}

/**
 * A fresh key pair from OpenSSL's generator, made on the thread pool. `undefined` for a spec that is not a key pair, or
 * is not made here.
 */
export function newKeyPair(keySpec: KeySpec, rsaKeyPairs: RsaKeyPairs, asker: RsaAsker): Promise<KeyPair> | undefined {
  const row = keySpecs[keySpec];
  switch (row.kind) {
    case 'rsa':
      return rsaKeyPairs.take(row.bits, asker);
    case 'ec':
      return settled((done) => generateKeyPair('ec', { namedCurve: row.curve }, done));
    case 'ed25519':
      return settled((done) => generateKeyPair('ed25519', {}, done));
    case 'ml-dsa':
    case 'ml-kem':
      // The overloads take a single name each, not a union; all behave the same.
      return settled((done) => generateKeyPair(row.parameterSet as 'ml-dsa-44', {}, done));
    default:
      return undefined;
  }
}

/** A fresh RSA key pair with the public exponent 65537. */
export function newRsaKeyPair(bits: RsaBits): Promise<KeyPair> {
  return settled((done) => generateKeyPair('rsa', { modulusLength: bits }, done));
}

/** DER PKCS #8, the form in which a private key is sealed. The caller zeroes it. */
export function privateKeyDer(pair: KeyPair): Buffer {
  return pair.privateKey.export({ format: 'der', type: 'pkcs8' });
}

/** DER SubjectPublicKeyInfo. */
export function publicKeyDer(pair: KeyPair): Buffer {
  return pair.publicKey.export({ format: 'der', type: 'spki' });
}

type Done = (error: Error | null, publicKey: KeyObject, privateKey: KeyObject) => void;

function settled(start: (done: Done) => void): Promise<KeyPair> {
  return new Promise((resolve, reject) => {
    start((error, publicKey, privateKey) => {
      if (error === null) resolve({ publicKey, privateKey });
      else reject(error);
    });
  });
}
