import { expect, test, vi } from 'vitest';
import { openKms, told } from './client.ts';

const region = 'us-east-1';
const problem =
  '--endpoint: kms.example is not this machine, and the connection would be unencrypted: write https://, or give --allow-plaintext.';

test('material is taken to no other machine unencrypted, wherever the endpoint comes from', async () => {
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIAIOSFODNN7EXAMPLE');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'x'.repeat(40));
  const given = openKms({ endpoint: 'http://kms.example:8900', region });
  vi.stubEnv('AWS_ENDPOINT_URL', 'http://kms.example:8900');
  for (const kms of [given, openKms({ region })]) {
    await expect(told('import', kms.listKeys({}))).rejects.toThrow(problem);
  }
  vi.unstubAllEnvs();
});
