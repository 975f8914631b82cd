import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openIdentity } from '@keyfleet/hsm-worker/boundary/identity';
import { newSealKey } from '@keyfleet/hsm-worker/boundary/seal-key';
import { SoftHsm } from '@keyfleet/test-support/soft-hsm';
import { TestWorkers, type WorkerProcess } from '@keyfleet/test-support/workers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

/** A worker whose seal key a token of SoftHSM2 keeps. */
const resources = new AsyncDisposableStack();
const pin = 'pin-of-the-worker';
const keyLabel = 'keyfleet-hsm-1';
let worker: WorkerProcess;
let identityFile: string;
let pinFile: string;
/** As the configuration has it. */
let pkcs11: object;
/** Of the same label and PIN, as whoever stole the disk and the PIN makes one. */
let other: SoftHsm;

beforeAll(async () => {
  const directory = async () => resources.use(await mkdtempDisposable(join(tmpdir(), 'keyfleet-seal-'))).path;
  const token = await SoftHsm.make(await directory(), { label: 'seal', pin });
  other = await SoftHsm.make(await directory(), { label: 'seal', pin });
  pinFile = join(await directory(), 'pin');
  await writeFile(pinFile, `${pin}\n`, { mode: 0o600 });
  const { environment, label } = token;
  pkcs11 = { module: SoftHsm.module, token: { label }, environment, pinFile, keyLabel, timeout: '20s' };
  worker = resources.use(await TestWorkers.start(1)).workers[0]!;
  identityFile = join(worker.dataDir, 'identity');
}, 120_000);
afterAll(() => resources.disposeAsync());

async function restart(fields: object): Promise<void> {
  await worker.kill();
  await worker.reconfigure(fields);
  await worker.start();
}

function childrenOf(pid: number): string {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
}

describe('the identity of a worker', () => {
  test('moves from a secret file into a token, and no longer opens under the file', async () => {
    const before = await worker.member();
    const fileKey = newSealKey(Buffer.from(await readFile(worker.sealKeyFile, 'utf8'), 'base64'), randomBytes);
    expect(openIdentity(await readFile(identityFile), fileKey).identity.memberId).toBe('hsm-1');
    await restart({ sealKey: { pkcs11 } });
    await worker.logged('take sealKeyFile from the configuration');
    expect(await worker.member()).toEqual(before);
    await worker.installed(1);
    expect(() => openIdentity(readFileSync(identityFile), fileKey)).toThrow(/does not open/);
  });

  test('opens at every start with the token alone, which it then lets go', async () => {
    const before = await worker.member();
    for (let start = 0; start < 2; start++) {
      await restart({ sealKeyFile: undefined });
      expect(await worker.member()).toEqual(before);
      await worker.installed(1);
    }
    await expect.poll(() => childrenOf(worker.pid)).toBe('');
  });

  test('begins in a token where a worker starts for the first time', async () => {
    const before = await worker.member();
    const { dataDir } = worker;
    await restart({ dataDir: `${dataDir}-new` });
    const fresh = await worker.member();
    expect(fresh).not.toEqual(before);
    await restart({});
    expect(await worker.member()).toEqual(fresh);
    await restart({ dataDir });
    expect(await worker.member()).toEqual(before);
  });

  test.each([
    ['the PIN is wrong', () => writeFile(pinFile, 'wrong-pin'), 'the token refuses the PIN'],
    ['there is no module', () => ({ module: '/nowhere.so' }), 'module: /nowhere.so does not exist'],
    [
      'the key in the token is gone',
      () => ({ environment: other.environment }),
      'has no key "keyfleet-hsm-1" any more',
    ],
    ['a thief has disk and PIN, and another token', () => stolen(), 'is not the one that sealed this identity'],
    ['only a file is configured', () => ({ onlyFile: true }), 'is missing, and a PKCS#11 token sealed'],
  ])('does not open when %s: one clear line, and nothing changes', async (_case, damage, line) => {
    await worker.kill();
    const before = await readFile(identityFile);
    const change = (await damage()) ?? {};
    const onlyFile = { sealKey: undefined, sealKeyFile: worker.sealKeyFile };
    await worker.reconfigure('onlyFile' in change ? onlyFile : { sealKey: { pkcs11: { ...pkcs11, ...change } } });
    expect(await worker.startAndFail()).toBe(2);
    expect(worker.stderr.trim().split('\n').at(-1)).toMatch(new RegExp(`^hsm-worker: sealKey.*${line}`));
    expect(await readFile(identityFile)).toEqual(before);
    await writeFile(pinFile, pin);
  });

  async function stolen(): Promise<object> {
    await other.makeKey(pin, keyLabel, '--sensitive');
    return { environment: other.environment };
  }

  test('opens again when all is right again', async () => {
    await restart({ sealKey: { pkcs11 }, sealKeyFile: undefined });
    await worker.installed(1);
  });
});
