import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ConfigError } from './config.ts';
import { encodedPublicKey } from './domain/signature.ts';
import { formatTrustAnchor } from './domain/trust-anchor.ts';
import { loadTrustAnchor } from './trust-anchor-file.ts';

let directory: string;
let path: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'keyfleet-test-'));
  path = join(directory, 'trust-anchor.json');
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

test('a trust anchor is read as a ceremony wrote it', async () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  const operators = [{ operatorId: 'anna', signingKey: encodedPublicKey(privateKey) }];
  await writeFile(path, formatTrustAnchor({ domain: 'test', minimum: 1, operators }));
  expect(loadTrustAnchor(path)).toEqual({ domain: 'test', minimum: 1, operators });
});

test('a file that is missing or wrong stops the start, named with its field', async () => {
  const expected = (why: RegExp) =>
    expect(() => loadTrustAnchor(path)).toThrow(
      expect.objectContaining({ name: ConfigError.name, message: expect.stringMatching(why) }),
    );
  expected(/^trustAnchorFile: .*trust-anchor\.json does not exist/);
  await writeFile(path, '{');
  expected(/^trustAnchorFile: .*trust-anchor\.json: the trust anchor is not JSON/);
  await writeFile(path, '{"domain":"test"}');
  expected(/^trustAnchorFile: .*the trust anchor is not valid: .*/s);
});
