import { execa } from 'execa';
import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { assertGo } from './support/binaries.ts';

/** What `docker compose` reads its files with. */
const COMPOSE = 'github.com/compose-spec/compose-go/v2/cmd@v2.16.2';
const deploy = join(import.meta.dirname, '../../deploy');

let program: string;
const resources = new AsyncDisposableStack();
beforeAll(async () => {
  assertGo();
  const { path } = resources.use(await mkdtempDisposable(join(tmpdir(), 'keyfleet-compose-')));
  // What Go says while it downloads is not what the program says.
  await execa('go', ['install', COMPOSE], { env: { GOBIN: path } });
  program = join(path, 'cmd');
});
afterAll(() => resources.disposeAsync());

async function read(text: string) {
  await using home = await mkdtempDisposable(join(tmpdir(), 'keyfleet-compose-'));
  await execa('sh', [join(deploy, 'compose/prepare.sh'), home.path]);
  const file = join(home.path, 'compose.yaml');
  // Docker Compose fills this in; the library's own program does not.
  await writeFile(file, text.replaceAll(/\$\{KEYFLEET_DIR[^}]*\}/g, home.path));
  return await execa(program, ['--format', 'json', file], { reject: false });
}

const composeFile = () => readFile(join(deploy, 'compose.yaml'), 'utf8');

test('deploy/compose.yaml is read by the library of Docker Compose, every field known', async () => {
  const { exitCode, stdout, stderr } = await read(await composeFile());
  expect([exitCode, stderr]).toEqual([0, '']);
  const { services } = JSON.parse(stdout) as { readonly services: object };
  expect(Object.keys(services)).toHaveLength(6);
});

test('the compose library refuses a field that nobody knows', async () => {
  const { exitCode, stderr } = await read((await composeFile()).replaceAll('read_only:', 'readonly:'));
  expect([exitCode, stderr]).toEqual([1, expect.stringMatching(/readonly/)]);
});
