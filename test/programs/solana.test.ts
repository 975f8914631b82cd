import { kms } from '@keyfleet/test-support/sdk-client';
import { newKey } from '@keyfleet/test-support/sdk-keys';
import { createPublicKey } from 'node:crypto';
import { getAddressFromPublicKey } from '@solana/addresses';
import { AwsKmsSigner } from '@solana/keychain-aws-kms';
import { verifySignature } from '@solana/keys';
import { createSignableMessage } from '@solana/signers';
import { expect, inject, test, vi } from 'vitest';
import { awsEnvironment } from './environment.ts';

test('a Solana message signed by a key in Keyfleet verifies under its address', async () => {
  const { KeyId } = await newKey({ KeySpec: 'ECC_NIST_EDWARDS25519', KeyUsage: 'SIGN_VERIFY' });
  const { PublicKey } = await kms.getPublicKey({ KeyId });
  const jwk = createPublicKey({ key: Buffer.from(PublicKey!), format: 'der', type: 'spki' }).export({ format: 'jwk' });
  const publicKey = await crypto.subtle.importKey('jwk', jwk, 'Ed25519', true, ['verify']);
  const address = await getAddressFromPublicKey(publicKey);

  // It makes its own client, which finds the endpoint as every AWS SDK does.
  vi.stubEnv('AWS_ENDPOINT_URL', awsEnvironment()['AWS_ENDPOINT_URL']);
  const { credentials } = inject('cluster');
  const signer = new AwsKmsSigner({ keyId: KeyId, publicKey: address, region: 'us-east-1', credentials });
  expect(await signer.isAvailable()).toBe(true);
  const message = createSignableMessage('attack at dawn');
  const [signatures] = await signer.signMessages([message]);
  const signature = signatures![signer.address]!;
  expect(await verifySignature(publicKey, signature, message.content)).toBe(true);
  expect(await verifySignature(publicKey, signature, new TextEncoder().encode('attack at noon'))).toBe(false);
});
