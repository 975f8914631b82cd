import { createPrivateKey, createPublicKey } from 'node:crypto';
import { expect, test } from 'vitest';
import { signByNoble, verifyByNoble } from './noble-signatures.ts';

test('Ed25519ph gives the signature of RFC 8032 section 7.3', () => {
  const privateKey = createPrivateKey({
    key: Buffer.from('833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42', 'hex'),
    format: 'raw-private',
    asymmetricKeyType: 'ed25519',
  });
  const message = Buffer.from('abc');
  const signature = signByNoble('ed25519ph', privateKey, message);
  expect(Buffer.from(signature).toString('hex')).toBe(
    '98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae41' +
      '31f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406',
  );
  expect(verifyByNoble('ed25519ph', createPublicKey(privateKey), { message, signature })).toBe(true);
});
