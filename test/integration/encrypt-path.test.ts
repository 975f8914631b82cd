import { kmsClient } from '@keyfleet/test-support/aws-client';
import { startTestCluster } from '@keyfleet/test-support/cluster';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { CreateKeyCommand, EncryptCommand } from '@aws-sdk/client-kms';
import { expect, test, vi } from 'vitest';

const root = join(import.meta.dirname, '../..');
const counter = pathToFileURL(join(root, 'test/support/called-functions.ts')).href;
/** Longer than the beats of the change feed: what runs meanwhile runs without any request. */
const IDLE_MS = 1_500;
/** What only some of them pass is no part of the way: a timer went off. */
const ENCRYPTS = 8;

/** What a process called since it was last asked. */
class Calls {
  readonly #pid: number;
  readonly #folder: string;
  #takes = 0;

  constructor(pid: number, folder: string) {
    this.#pid = pid;
    this.#folder = folder;
  }

  async take(): Promise<Set<string>> {
    const path = join(this.#folder, `${this.#pid}-${this.#takes++}.json`);
    process.kill(this.#pid, 'SIGUSR2');
    await vi.waitFor(() => expect(existsSync(path)).toBe(true), { timeout: 10_000, interval: 5 });
    return new Set(JSON.parse(readFileSync(path, 'utf8')) as string[]);
  }
}

/**
 * The files that each of some requests passes. `sure`: without what runs when there is no request, which may be on the
 * way as well, or may have been due just then.
 */
async function filesOnTheWay(
  calls: Calls,
  request: () => Promise<unknown>,
): Promise<{ sure: string[]; all: string[] }> {
  await calls.take();
  await delay(IDLE_MS);
  const idle = await calls.take();
  await request();
  let all = await calls.take();
  for (let i = 1; i < ENCRYPTS; i++) {
    await request();
    all = all.intersection(await calls.take());
  }
  return { sure: filesOf(all.difference(idle)), all: filesOf(all) };
}

function filesOf(calls: ReadonlySet<string>): string[] {
  return [...new Set([...calls].map((name) => name.split(':')[0]!))].toSorted();
}

/** Rows of ARCHITECTURE.md: a folder, and the files in it. */
function namedFiles(): string[] {
  const text = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8');
  const [, table = ''] = /^One Encrypt runs code of .*\n\n((?:\|.*\n)+)/m.exec(text) ?? [];
  return [...table.matchAll(/^\| `([^`]+)` \| (.*) \|$/gm)].flatMap(([, folder, files]) =>
    files!.split(', ').map((file) => `${folder}/${file}.ts`),
  );
}

test('ARCHITECTURE.md names the files that one Encrypt passes, and no others', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'keyfleet-calls-'));
  const nodeArgs = ['--import', `${counter}?${encodeURIComponent(folder.path)}`];
  await using cluster = await startTestCluster({ workers: 1, nodeArgs });
  const kms = kmsClient(cluster);
  const { KeyMetadata } = await kms.send(new CreateKeyCommand({}));
  const input = { KeyId: KeyMetadata!.KeyId, Plaintext: Buffer.from('secret'), EncryptionContext: { purpose: 'test' } };
  const encrypt = () => kms.send(new EncryptCommand(input));
  for (let i = 0; i < ENCRYPTS; i++) await encrypt();
  const frontend = await filesOnTheWay(new Calls(cluster.pid('frontend')!, folder.path), encrypt);
  const worker = await filesOnTheWay(new Calls(cluster.pid('hsm-worker-1')!, folder.path), encrypt);
  kms.destroy();
  const named = new Set(namedFiles());
  expect([...frontend.sure, ...worker.sure].filter((file) => !named.has(file))).toEqual([]);
  const all = new Set([...frontend.all, ...worker.all]);
  expect([...named].filter((file) => !all.has(file))).toEqual([]);
});

test('ARCHITECTURE.md and decision 18 count these files, the latter by folder', () => {
  const files = namedFiles();
  expect(readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8')).toContain(`runs code of ${files.length} files`);
  const page = readFileSync(join(root, 'docs/decisions/0018-how-many-files-one-encrypt-passes.md'), 'utf8');
  expect(page).toContain(`It is ${files.length} files`);
  const rows = [...page.matchAll(/^\| (\d+) \| (?:`(.+)`|other folders .*) \| .* \|$/gm)];
  const folders = rows.flatMap(([, , folder]) => folder ?? []);
  const counted = Map.groupBy(files, (file) => folders.find((folder) => file.startsWith(`${folder}/`)));
  expect(rows.map(([, count, folder]) => [folder, Number(count)])).toEqual(
    [...folders, undefined].map((folder) => [folder, counted.get(folder)?.length]),
  );
});
