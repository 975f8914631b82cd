import { createHmac, generateKeyPairSync, sign, verify } from 'node:crypto';
import { costOf } from '../micro/cost.ts';

const message = Buffer.alloc(32, 1);

/** Scenario -> microseconds of OpenSSL's CPU for the operation itself, on one core. */
export async function primitiveCosts(): Promise<Readonly<Record<string, number>>> {
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const edwards = generateKeyPairSync('ed25519');
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const signature = sign('sha256', message, ec.privateKey);
  const macKey = Buffer.alloc(32, 2);
  const calls: Readonly<Record<string, () => unknown>> = {
    'sign-p256': () => sign('sha256', message, ec.privateKey),
    'sign-ed25519': () => sign(null, message, edwards.privateKey),
    'verify-p256': () => verify('sha256', message, ec.publicKey, signature),
    'generate-mac-hmac-256': () => createHmac('sha256', macKey).update(message).digest(),
    'sign-rsa-2048-pkcs1': () => sign('sha256', message, rsa.privateKey),
  };
  const costs: Record<string, number> = {};
  for (const [name, call] of Object.entries(calls)) costs[name] = await costOf(500, call);
  return costs;
}
