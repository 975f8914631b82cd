import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodedPublicKey } from '@keyfleet/shared/domain/signature';
import { expect, test } from 'vitest';
import { loadSigningKey } from '@keyfleet/cli/signing-keys';

interface KeyVectors {
  readonly signingKey: string;
  readonly files: readonly { readonly protection: string; readonly passphrase: string; readonly text: string }[];
}
const vectors = JSON.parse(readFileSync(join(import.meta.dirname, 'kms/operator-keys.json'), 'utf8')) as KeyVectors;

test.each(vectors.files)("an operator's key file under $protection opens", async ({ protection, passphrase, text }) => {
  using dir = temporaryDirectory();
  const path = join(dir.path, 'key.pem');
  writeFileSync(path, text);
  const opened = await loadSigningKey(path, async () => passphrase);
  expect(opened.protection).toBe(protection);
  expect(encodedPublicKey(opened.key).toString('base64')).toBe(vectors.signingKey);
});

function temporaryDirectory(): { readonly path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), 'keyfleet-vectors-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
}
