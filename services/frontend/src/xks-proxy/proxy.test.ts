import { newKeyId } from '@keyfleet/shared/ids';
import { expect, test } from 'vitest';
import { XksPath, type ProxyDeps, type ProxyRequest } from './proxy.ts';

const requestMetadata = {
  awsPrincipalArn: 'arn:aws:iam::123456789012:user/Alice',
  kmsOperation: 'Encrypt',
  kmsRequestId: '4112f4d6-db54-4af4-ae30-c55a22a8dfae',
  kmsKeyArn: 'arn:aws:kms:us-east-2:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab',
};

test.each(['encrypt', 'decrypt'])('a key of another account is to %s as one that does not exist', async (api) => {
  const deps = {
    pipeline: { process: async (_request: unknown, wanted: { parse: () => unknown }) => wanted.parse() },
    hsm: {},
    keys: { findKey: () => Promise.resolve({ accountId: '222222222222', keySpec: 'SYMMETRIC_DEFAULT' }) },
    accountId: '111111111111',
    region: 'us-east-1',
  } as unknown as ProxyDeps;
  const plaintext = Buffer.alloc(32).toString('base64');
  const ciphertext = {
    ciphertext: plaintext,
    initializationVector: 'aaaaaaaaaaaaaaaa',
    authenticationTag: 'aaaaaaaaaaaaaaaaaaaaaa==',
  };
  const body = { requestMetadata, encryptionAlgorithm: 'AES_GCM', ...(api === 'encrypt' ? { plaintext } : ciphertext) };
  const answer = await new XksPath(deps).answer({
    resource: `/keys/${newKeyId(false)}/${api}`,
    body: Buffer.from(JSON.stringify(body)),
  } as ProxyRequest);
  expect(answer).toMatchObject({ status: 404 });
  expect(answer.body).toContain('KeyNotFoundException');
});
