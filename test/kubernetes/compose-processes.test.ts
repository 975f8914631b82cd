import { CreateKeyCommand, DecryptCommand, EncryptCommand, KMSClient } from '@aws-sdk/client-kms';
import { execa } from 'execa';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { Agent } from 'node:https';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { tcpReady, until } from '../../tools/readiness.ts';
import { type ComposeContainer, startCompose } from './support/compose-containers.ts';
import { portForward } from './support/topology/port-forward.ts';
import { serialAt } from './support/topology/presented.ts';
import { directoryPrefix } from './support/topology/remains.ts';

// deploy/compose.yaml without a container engine: "On one machine" of docs/operations.md, command by command.

const root = join(import.meta.dirname, '../..');
const [preparation, keys, foundation, account] = blocks();

let services: ReadonlyMap<string, ComposeContainer>;
let laptop: string;
let keyfleetDir: string;
const resources = new AsyncDisposableStack();
beforeAll(async () => {
  const { path } = resources.use(await mkdtempDisposable(directoryPrefix));
  [laptop, keyfleetDir] = [join(path, 'laptop'), join(path, 'keyfleet')];
  mkdirSync(laptop);
  writePrograms();
  await run(preparation!);
  await run(keys!);
  services = await startCompose(keyfleetDir, path, resources);
});
afterAll(() => resources.disposeAsync());

/** Founders' keys cost a second of CPU at each use, and everything starts at once. */
const PATIENCE_MS = 600_000;

function blocks(): string[] {
  const page = readFileSync(join(root, 'docs/operations.md'), 'utf8');
  const section = /^## On one machine\n(.*?)^## /ms.exec(page)![1]!;
  return [...section.matchAll(/^```console\n(.*?)^```$/gms)].map(([, block]) => block!);
}

/** A file answers where a founder would be asked for a passphrase; but for logs, the tests do what Docker would do. */
function writePrograms(): void {
  writeFileSync(join(laptop, 'passphrase'), 'correct horse battery staple\n', { mode: 0o600 });
  const keyfleet = `
if [[ "$1 $2" == "operator create-key" && "$*" != *--role* || "$*" == *"--as "* ]]; then
  set -- "$@" --passphrase-file passphrase
fi
exec "${process.execPath}" "${join(root, 'packages/cli/src/main.ts')}" "$@"`;
  const docker = 'case "$*" in *" logs "*) exec cat ../hsm-worker-*/log ;; esac';
  for (const [name, script] of Object.entries({ keyfleet, sudo: 'exec "$@"', docker })) {
    writeFileSync(join(laptop, name), `#!/bin/bash\n${script}\n`);
    chmodSync(join(laptop, name), 0o755);
  }
}

async function run(block: string): Promise<void> {
  const commands = block.replace('/srv/keyfleet', keyfleetDir).replace('deploy/compose', join(root, 'deploy/compose'));
  const env = { PATH: `${laptop}:${process.env['PATH']}`, KEYFLEET_DIR: keyfleetDir };
  await execa('bash', ['-euo', 'pipefail', '-c', commands], { cwd: laptop, env });
}

/** Rejects with the log of a service when it does not come about. */
async function eventually(what: string, isSo: () => Promise<boolean>): Promise<void> {
  if (await until(isSo, 120_000, () => false)) return;
  const logs = [...services].map(([name, { logFile }]) => `${name}: ${readFileSync(logFile, 'utf8').slice(-1000)}`);
  throw new Error(`not so: ${what}\n${logs.join('\n')}`);
}

const healthy = (name: string) => services.get(name)!.healthy();

test(
  'each service runs as its user, from the files that are laid out, and a domain is founded',
  async () => {
    const identities = [0, 1].map((i) => join(keyfleetDir, `hsm-worker-${i}/data/identity.pub.json`));
    await eventually('Redis and NATS are well', async () => (await healthy('redis')) && (await healthy('nats')));
    await eventually('the workers have an identity', async () => identities.every((file) => existsSync(file)));
    const { address } = services.get('domain-manager')!;
    await eventually('the domain-manager listens', () => tcpReady(8921, address));
    await using manager = await portForward(address, 8921);
    await run(foundation!.replace('localhost:8921', `localhost:${manager.port}`));
    await eventually('the frontend is well', () => healthy('frontend'));
  },
  PATIENCE_MS,
);

test(
  'an account is made in the container of the frontend, and its administrator makes a key and uses it',
  async () => {
    const [, command = ''] = /exec frontend (.*?)\nsudo/s.exec(account!)!;
    const made = await services.get('frontend')!.exec(command.split(/[\s\\]+/));
    expect([made.exitCode, made.stderr]).toEqual([0, '']);
    await run(account!);
    const text = readFileSync(join(laptop, 'credentials'), 'utf8');
    const field = (name: string): string => new RegExp(`^${name} *= *(\\S+)$`, 'm').exec(text)![1]!;
    const credentials = {
      accessKeyId: field('aws_access_key_id'),
      secretAccessKey: field('aws_secret_access_key'),
    };
    await using edge = await portForward(services.get('frontend')!.address, 8900);
    const ca = readFileSync(join(keyfleetDir, 'authority/ca.crt'), 'utf8');
    const kms = new KMSClient({
      endpoint: `https://localhost:${edge.port}`,
      region: 'us-east-1',
      credentials,
      requestHandler: { httpsAgent: new Agent({ ca }) },
    });
    const { KeyMetadata } = await kms.send(new CreateKeyCommand({}));
    const KeyId = KeyMetadata!.Arn!;
    const { CiphertextBlob } = await kms.send(new EncryptCommand({ KeyId, Plaintext: Buffer.from('one machine') }));
    const { Plaintext } = await kms.send(new DecryptCommand({ CiphertextBlob }));
    expect(Buffer.from(Plaintext!).toString()).toBe('one machine');
    kms.destroy();
  },
  PATIENCE_MS,
);

test(
  'certificates that are made anew are read by each while it runs',
  async () => {
    const ports = Object.entries({
      frontend: 8900,
      'hsm-worker-0': 8911,
      'domain-manager': 8921,
      redis: 6379,
      nats: 4222,
    });
    const presented = () => Promise.all(ports.map(([name, port]) => serialAt(services.get(name)!.address, port, name)));
    const before = await presented();
    expect(before).not.toContain(undefined);
    for (const [name] of ports) rmSync(join(keyfleetDir, name, 'tls/tls.crt'));
    await run(preparation!);
    const areNew = async () =>
      (await presented()).every((serial, index) => ![undefined, before[index]].includes(serial));
    await eventually('each presents its new one', areNew);
  },
  PATIENCE_MS,
);

test('all are well, and when all are to stop each ends by itself within the time that it is given', async () => {
  for (const name of services.keys()) await eventually(`${name} is well`, () => healthy(name));
  const stopped = await Promise.all(
    [...services].map(async ([name, service]) => [name, await service.stop()] as const),
  );
  const { nats, ...others } = Object.fromEntries(stopped);
  expect(others).toEqual({ frontend: 0, 'hsm-worker-0': 0, 'hsm-worker-1': 0, 'domain-manager': 0, redis: 0 });
  // Before 2.11 this is how NATS ends well (nats-io/nats-server#6336).
  expect([0, 1]).toContain(nats);
});
