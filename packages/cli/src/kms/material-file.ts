import { createPrivateKey, type KeyObject } from 'node:crypto';
import { type KeySpec, keySpecs } from '@keyfleet/shared/key-specs';
import { privateKeyOfDer } from '@keyfleet/shared/wrap-material';
import { CliError } from '../cli-error.ts';

export const encodings = ['raw', 'hex', 'base64'] as const;
export type Encoding = (typeof encodings)[number];

/**
 * Key material in the form that is wrapped: the bytes of a symmetric or HMAC key, or a private key in PKCS #8, from
 * anything OpenSSL writes: PEM or DER, of PKCS #8, PKCS #1 or SEC 1. `from` names the source in errors.
 */
export function materialOf(
  keySpec: KeySpec,
  bytes: Buffer,
  { from, encoding }: { from: string; encoding: Encoding },
): Buffer {
  const row = keySpecs[keySpec];
  if (row.kind !== 'symmetric' && row.kind !== 'hmac') return pkcs8Of(bytes, from);
  const material = encoding === 'raw' ? bytes : decoded(bytes.toString('latin1').trim(), { from, encoding });
  const [least, most] = row.kind === 'hmac' ? [row.bits / 8, 128] : [32, 32];
  if (material.length >= least && material.length <= most) return material;
  const wanted = least === most ? `${least} bytes` : `${least} to ${most} bytes`;
  throw new CliError(
    `${from} holds ${material.length} bytes; a key of ${keySpec} takes ${wanted}${hintOf(bytes, encoding)}.`,
  );
}

function decoded(text: string, { from, encoding }: { from: string; encoding: 'hex' | 'base64' }): Buffer {
  const material = Buffer.from(text, encoding);
  const again = material.toString(encoding);
  if (encoding === 'hex' ? again === text.toLowerCase() : again.replace(/=*$/, '') === text.replace(/=*$/, '')) {
    return material;
  }
  throw new CliError(`${from} is not ${encoding}.`);
}

/** A common mistake is text where bytes are expected. */
function hintOf(bytes: Buffer, encoding: Encoding): string {
  const text = bytes.toString('latin1').trim();
  if (encoding !== 'raw' || !/^[\w+/=]+$/.test(text)) return '';
  return `. If it is text, give --encoding ${/^[0-9a-f]+$/i.test(text) ? 'hex' : 'base64'}`;
}

function pkcs8Of(bytes: Buffer, from: string): Buffer {
  const text = bytes.toString('latin1');
  if (/-----BEGIN ENCRYPTED|Proc-Type: 4,ENCRYPTED/.test(text)) {
    throw new CliError(`${from} is encrypted. Decrypt it first: openssl pkey -in ${from} -out plain.pem`);
  }
  const key = text.includes('-----BEGIN') ? keyOfPem(bytes) : privateKeyOfDer(bytes);
  if (key !== undefined) return key.export({ format: 'der', type: 'pkcs8' });
  throw new CliError(`${from} is not a private key in PEM or DER that OpenSSL can read.`);
}

function keyOfPem(pem: Buffer): KeyObject | undefined {
  try {
    return createPrivateKey(pem);
  } catch {
    return undefined;
  }
}
