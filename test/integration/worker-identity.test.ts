import { TestWorkers, type WorkerProcess } from '@keyfleet/test-support/workers';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadNewMember } from '@keyfleet/cli/public-files';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

let cluster: TestWorkers;
let worker: WorkerProcess;
let identityFile: string;
beforeAll(async () => {
  cluster = await TestWorkers.start(1);
  worker = cluster.workers[0]!;
  identityFile = join(worker.dataDir, 'identity');
});
afterAll(() => cluster[Symbol.asyncDispose]());

describe('the identity of a worker', () => {
  test('outlives a kill: the same member comes back and installs its domain again', async () => {
    const before = await worker.member();
    await worker.kill();
    await worker.start();
    expect(await worker.member()).toEqual(before);
    await worker.installed(1);
  });

  test('lies on disk sealed and for its owner alone; its public part is there for the ceremony', async () => {
    expect((await stat(identityFile)).mode & 0o777).toBe(0o600);
    expect((await readFile(identityFile)).includes(Buffer.from('PRIVATE KEY'))).toBe(false);
    const published = loadNewMember(join(worker.dataDir, 'identity.pub.json'));
    expect(published).toEqual(await worker.member());
  });

  test.each([
    ['damaged', async () => writeFile(identityFile, (await readFile(identityFile)).fill(0, 200, 210))],
    ['half written', async () => writeFile(identityFile, (await readFile(identityFile)).subarray(0, 300))],
    ['empty', () => writeFile(identityFile, '')],
    ['sealed under another seal key', () => writeFile(worker.sealKeyFile, Buffer.alloc(32).toString('base64'))],
  ])('that is %s stops the start with one clear line, and is not replaced', async (_case, damage) => {
    await worker.kill();
    const files = [identityFile, worker.sealKeyFile];
    const before = await Promise.all(files.map((file) => readFile(file)));
    await damage();
    const damaged = await readFile(identityFile);
    expect(await worker.startAndFail()).toBe(2);
    const lines = worker.stderr.trim().split('\n');
    expect(lines.at(-1)).toMatch(
      /^hsm-worker: the identity .*identity is not usable: .*Restore the file or the seal key/,
    );
    expect(await readFile(identityFile)).toEqual(damaged);
    await Promise.all(files.map((file, i) => writeFile(file, before[i]!)));
  });
});
