/**
 * Makes test/vectors/kms/token-sealed-identity.json, once: a file that exists stays for ever, because what it holds
 * must open in every later release. Run with Node: `node test/vectors/make-token-sealed-identity.ts`.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { newIdentity } from '@keyfleet/hsm-worker/boundary/identity';
import { SealKeyContext } from '@keyfleet/hsm-worker/boundary/pkcs11/token-seal-key';
import { newSealKey } from '@keyfleet/hsm-worker/boundary/seal-key';
import { seal } from '@keyfleet/shared/encoding/aead';

const identity = newIdentity('hsm-1');
const { memberId } = identity;
const [tokenKey, sealKey, iv] = [randomBytes(32), randomBytes(32), randomBytes(12)];
const [ciphertext, tag] = seal({ key: tokenKey, iv, associatedData: SealKeyContext.encode({ memberId }) }, sealKey);
const sealedIdentity = identity.seal(newSealKey(sealKey, randomBytes, { iv, ciphertext, tag }));
const { signingKey } = identity;

const inBase64 = Object.entries({ tokenKey, sealKey, sealedIdentity, signingKey }).map(
  ([name, bytes]) => [name, bytes.toString('base64')] as const,
);
const about = 'An identity at rest whose seal key a PKCS#11 token keeps. `tokenKey` is the AES key in the token.';
const path = join(import.meta.dirname, 'kms/token-sealed-identity.json');
if (existsSync(path)) console.log('it is there and stays');
else writeFileSync(path, `${JSON.stringify({ about, memberId, ...Object.fromEntries(inBase64) }, undefined, 2)}\n`);
