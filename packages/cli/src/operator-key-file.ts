// The boundary seals under a passphrase, as for offline members (docs/decisions/0005-the-cli-is-an-offline-member.md).
import { passphraseSealKey, saltLength } from '@keyfleet/hsm-worker/boundary/seal-key';
import { bytes, defineFormat } from '@keyfleet/shared/encoding/canonical';
import { encodedPublicKey } from '@keyfleet/shared/domain/signature';
import { publicKey } from '@keyfleet/shared/domain/state';
import { createPrivateKey, type KeyObject, randomBytes } from 'node:crypto';
import { z } from 'zod';

/**
 * A person's private key at rest: PKCS #8 under scrypt of a passphrase (docs/formats.md, "Operator key"), as text in
 * the style of PEM.
 */
const OperatorKey = defineFormat('keyfleet/operator-key/1', z.object({ header: bytes(), sealed: bytes() }));

/** In the clear, and the associated data of what is sealed. */
const OperatorKeyHeader = defineFormat(
  'keyfleet/operator-key-header/1',
  z.object({ publicKey, salt: bytes({ min: saltLength, max: saltLength }) }),
);

const begin = '-----BEGIN KEYFLEET OPERATOR KEY-----';
const end = '-----END KEYFLEET OPERATOR KEY-----';

export function isOperatorKeyFile(text: string): boolean {
  return text.startsWith(begin);
}

/** `privateKey`: P-384. Takes about half a second. */
export function sealOperatorKey(privateKey: KeyObject, passphrase: string): string {
  const salt = randomBytes(saltLength);
  const header = OperatorKeyHeader.encode({ publicKey: encodedPublicKey(privateKey), salt });
  const pkcs8 = privateKey.export({ format: 'der', type: 'pkcs8' });
  try {
    const sealed = passphraseSealKey(passphrase, salt, randomBytes).seal(pkcs8, header);
    const lines =
      OperatorKey.encode({ header, sealed })
        .toString('base64')
        .match(/.{1,64}/g) ?? [];
    return `${[begin, ...lines, end].join('\n')}\n`;
  } finally {
    pkcs8.fill(0);
  }
}

/** Throws for another passphrase or an altered file, without saying which. */
export function openOperatorKey(text: string, passphrase: string): KeyObject {
  const base64 = text.trim().slice(begin.length, -end.length);
  const { header, sealed } = OperatorKey.decode(Buffer.from(base64, 'base64'));
  const { salt } = OperatorKeyHeader.decode(header);
  const pkcs8 = passphraseSealKey(passphrase, salt, randomBytes).open(sealed, header);
  try {
    return createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
  } finally {
    pkcs8.fill(0);
  }
}
