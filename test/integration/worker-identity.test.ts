import { TestWorkers, type WorkerProcess } from '@keyfleet/test-support/workers';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { formatMember, loadNewMember } from '@keyfleet/cli/public-files';
import { memberFingerprint } from '@keyfleet/shared/domain/fingerprint';
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

  test('is in the log as it is in memory, and a public part of other keys is noticed and written anew', async () => {
    const member = await worker.member();
    const publicFile = join(worker.dataDir, 'identity.pub.json');
    const said = () => worker.stderr.split('\n').filter((line) => line.includes('"msg":"identity"'));
    const before = said().length;
    expect(JSON.parse(said().at(-1)!)).toMatchObject({ memberId: 'hsm-1', fingerprint: memberFingerprint(member) });
    expect(worker.stderr).not.toContain('was of other keys');
    await writeFile(publicFile, formatMember({ ...member, agreementKey: member.signingKey }));
    await worker.kill();
    await worker.start();
    expect(loadNewMember(publicFile)).toEqual(member);
    expect(worker.stderr).toContain('the public identity on the disk was of other keys, and is written anew');
    expect(said().slice(before)).toHaveLength(1);
    expect(said().at(-1)).toContain(memberFingerprint(member));
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
