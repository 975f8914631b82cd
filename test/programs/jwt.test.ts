import { newKms } from '@keyfleet/test-support/sdk-client';
import { newKey } from '@keyfleet/test-support/sdk-keys';
import * as jwt from 'jwt-on-kms';
import { expect, test, vi } from 'vitest';

test('a JWT signed by a key in Keyfleet verifies without it, until it expires', async () => {
  // It prints every token that it signs.
  vi.stubGlobal('console', { ...console, log: () => undefined });
  jwt.setClient(newKms());
  const { KeyId } = await newKey({ KeySpec: 'RSA_2048', KeyUsage: 'SIGN_VERIFY' });
  const token = await jwt.sign({ subject: 'alice' }, KeyId, { expiresIn: 60 });
  expect(await jwt.verify(token, KeyId)).toMatchObject({ isValid: true, payload: { subject: 'alice' } });
  const [header, , signature] = token.split('.');
  const forged = Buffer.from(JSON.stringify({ subject: 'mallory' })).toString('base64url');
  expect(await jwt.verify(`${header}.${forged}.${signature}`, KeyId)).toMatchObject({ isValid: false });
  const old = await jwt.sign({ subject: 'alice' }, KeyId, { expiresAt: new Date(Date.now() - 60_000) });
  expect(await jwt.verify(old, KeyId)).toMatchObject({ isValid: false, error: 'Token expired' });
});
