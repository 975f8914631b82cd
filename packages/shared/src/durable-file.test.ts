import { mkdtempDisposable, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { writeDurably } from './durable-file.ts';

test('what a crash left beside the file is replaced', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'keyfleet-'));
  const path = join(folder.path, 'file');
  await writeFile(`${path}.new`, 'half of something longer');
  await writeDurably(path, Buffer.from('whole'));
  expect(await readFile(path, 'utf8')).toBe('whole');
  expect(await readdir(folder.path)).toEqual(['file']);
});

test('nothing is written through a link that somebody put there', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'keyfleet-'));
  const [path, other] = [join(folder.path, 'file'), join(folder.path, 'other')];
  await writeFile(other, 'of somebody else');
  await symlink(other, `${path}.new`);
  await symlink(other, path);
  await writeDurably(path, Buffer.from('mine'));
  expect(await readFile(other, 'utf8')).toBe('of somebody else');
  expect(await readFile(path, 'utf8')).toBe('mine');
});
