import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { CredentialsFile } from './credentials-file.ts';

const textOf = (id: string): string =>
  `[default]\naws_access_key_id = ${id}\naws_secret_access_key = secret-of-${id}\n`;

async function givenFile(text: string) {
  const folder = await mkdtempDisposable(join(tmpdir(), 'keyfleet-'));
  const path = join(folder.path, 'credentials');
  writeFileSync(path, text, { mode: 0o600 });
  const replace = (next: string): void => {
    writeFileSync(`${path}.new`, next, { mode: 0o600 });
    renameSync(`${path}.new`, path);
  };
  return { path, replace, [Symbol.asyncDispose]: () => folder.remove() };
}

test('the credentials are those of [default], whatever other profiles there are', async () => {
  await using file = await givenFile(`[other]\naws_access_key_id=b\n\n${textOf('a')}[last]\naws_session_token=t\n`);
  const credentials = new CredentialsFile(file.path, () => undefined);
  expect(credentials.current()).toEqual({
    accessKeyId: 'a',
    secretAccessKey: 'secret-of-a',
    sessionToken: undefined,
  });
});

test('a changed file is read again; an unusable or missing one changes nothing', async () => {
  await using file = await givenFile(textOf('a'));
  const problems: string[] = [];
  const credentials = new CredentialsFile(file.path, (problem) => problems.push(String(problem)));
  file.replace(textOf('b'));
  expect(credentials.current().accessKeyId).toBe('b');
  file.replace('half of a fi');
  expect(credentials.current().accessKeyId).toBe('b');
  rmSync(file.path);
  expect(credentials.current().accessKeyId).toBe('b');
  expect(problems[0]).toContain('has no aws_access_key_id and aws_secret_access_key under [default]');
  expect(problems).toHaveLength(2);
  writeFileSync(file.path, textOf('c'), { mode: 0o600 });
  expect(credentials.current().accessKeyId).toBe('c');
});

test('a file that others may read is refused', async () => {
  await using file = await givenFile('');
  rmSync(file.path);
  writeFileSync(file.path, textOf('a'), { mode: 0o644 });
  expect(() => new CredentialsFile(file.path, () => undefined)).toThrow('is open to other users. Run: chmod 600');
});
