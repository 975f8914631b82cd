import { plaintextPeers } from '@keyfleet/shared/grpc/peers';
import { DomainManagerClient } from '@keyfleet/cli/domain-manager-client';
import { openHostHsm } from '@keyfleet/cli/host-pool';
import { openRecords } from '@keyfleet/cli/records';
import { parseTrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import { recordKeyName } from '@keyfleet/frontend/store/record-key';
import { RECORD_KEYS, secretAt, storeAt } from '@keyfleet/shared/stored/names';
import { eventually, type Fleet, newFleet } from '@keyfleet/test-support/fleet';
import { connectTestRedis } from '@keyfleet/test-support/redis-client';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chmodSync, copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';

/**
 * Every `sh` block of the runbooks, run by a shell as it stands, in the order of a domain's life, on one fleet of three
 * workers. A page's steps are listed below by what must happen before each of its blocks; a block without a step fails
 * the test.
 */
const root = join(import.meta.dirname, '../..');
const run = promisify(execFile);
let fleet: Fleet;
let client: DomainManagerClient;

/** The identity that services name last. At first one that none of them knows. */
let store: string = randomUUID();
/** The mark that services say the store had. */
let mark = '';

type Before = () => unknown;
const nothing: Before = () => {};

beforeAll(async () => {
  fleet = await newFleet({ workers: 3 });
  // What the ceremony makes itself.
  for (const name of ['anna.pem', 'berta.pem', 'domain-manager-1.pem', 'trust-anchor.json']) rmSync(fleet.path(name));
  writeFileSync(fleet.path('passphrase'), 'correct horse battery staple\n', { mode: 0o600 });
  // Wherever a person would be asked for a passphrase, the file answers.
  const shim = `#!/bin/bash
if [[ "$1 $2" == "operator create-key" && "$*" != *--role* || "$*" == *"--as "* ]]; then
  set -- "$@" --passphrase-file passphrase
fi
exec "${process.execPath}" "${join(root, 'packages/cli/src/main.ts')}" "$@"
`;
  writeFileSync(fleet.path('keyfleet'), shim);
  chmodSync(fleet.path('keyfleet'), 0o755);
  writeFileSync(
    fleet.path('redis-cli'),
    `#!/bin/bash\nexec /usr/bin/env -i /usr/bin/redis-cli -p ${fleet.redis.port} "$@"\n`,
  );
  chmodSync(fleet.path('redis-cli'), 0o755);
  client = new DomainManagerClient(fleet.manager(), plaintextPeers.credentials);
});
afterAll(async () => {
  client[Symbol.dispose]();
  await fleet[Symbol.asyncDispose]();
});

function blocksOf(page: string): string[] {
  const text = readFileSync(join(root, 'docs', page), 'utf8');
  expect(text, 'a command that no test runs').not.toMatch(/^ {4,}keyfleet /m);
  return [...text.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block]) => block!);
}

async function runPage(page: string, steps: readonly Before[]): Promise<void> {
  const blocks = blocksOf(page);
  expect(blocks.length, `${page}: blocks and steps`).toBe(steps.length);
  for (const [i, block] of blocks.entries()) {
    await steps[i]!();
    await runBlock(block);
  }
}

async function runBlock(block: string): Promise<void> {
  const manager = `--domain-manager ${fleet.manager()}`;
  const proposal = block.includes('$PROPOSAL') ? (await client.listProposals()).at(-1)?.proposalId.slice(0, 32) : '';
  const env = {
    NODE_COMPILE_CACHE: join(root, 'node_modules/.cache/keyfleet'),
    PATH: `${fleet.dir}:${process.env['PATH']}`,
    MANAGER: manager,
    DOMAIN: `${manager} --trust-anchor trust-anchor.json`,
    ANNA: '--as anna --key anna.pem',
    BERTA: '--as berta --key berta.pem',
    STORE: store,
    MARK: mark,
    REDIS: `--redis redis://127.0.0.1:${fleet.redis.port}`,
    PROPOSAL: proposal,
    DOMAIN_KEY: block.includes('$DOMAIN_KEY') ? await oldestDomainKey() : '',
  };
  try {
    const ofThisDomain = block.replaceAll('{example.org}', `{${fleet.anchor.domain}}`);
    await run('bash', ['-euo', 'pipefail', '-c', ofThisDomain], { cwd: fleet.dir, env });
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`this block failed:\n${block}\n${stdout}${stderr}`, { cause: error });
  }
}

async function oldestDomainKey(): Promise<string> {
  const anchor = parseTrustAnchor(readFileSync(fleet.path('trust-anchor.json'), 'utf8'));
  return (await client.getDomain(anchor)).state.domainKeys[0]!.id.slice(0, 8);
}

/** As a frontend does that starts: here is none. */
async function makeRecordKey(): Promise<void> {
  const open = {
    client,
    anchor: parseTrustAnchor(readFileSync(fleet.path('trust-anchor.json'), 'utf8')),
    ...plaintextPeers,
  };
  await using redis = await connectTestRedis(fleet.redis.port);
  await using hsm = await openHostHsm({ host: 'frontend-1', 'host-key': fleet.path('frontend-1.pem') }, open, redis);
  await (await openRecords(redis, hsm, open)).keys.makeNext();
}

function copyIdentities(...workers: number[]): void {
  for (const n of workers) copyFileSync(fleet.path(`hsm-${n}/identity.pub.json`), fleet.path(`hsm-${n}.pub.json`));
}

async function startServices(): Promise<void> {
  await fleet.startAll();
  copyIdentities(1, 2, 3);
}

function writeRules(): void {
  const [, json] = /^```json\n(.*?)^```$/ms.exec(readFileSync(join(root, 'docs/ceremony.md'), 'utf8'))!;
  writeFileSync(fleet.path('rules.json'), json!);
}

/** The workers come back on empty volumes. */
async function loseVolumes(...workers: number[]): Promise<void> {
  for (const n of workers) {
    await fleet.workers[n - 1]!.end('SIGKILL');
    for (const file of ['identity', 'identity.pub.json']) rmSync(fleet.path(`hsm-${n}/${file}`));
    fleet.workers[n - 1]!.start();
  }
  await eventually('they have a new identity, which is nobody yet', async () => {
    copyIdentities(...workers);
    const { workers: seen = [] } = await client.status();
    return workers.every((n) => seen[n - 1]?.standing === 'stranger');
  });
}

async function losesRedis(): Promise<void> {
  await fleet.managers[0]!.end('SIGTERM');
  const redis = new Redis(fleet.redis.port, '127.0.0.1');
  await redis.flushall();
  redis.disconnect();
}

async function losesIdentityAndMark(): Promise<void> {
  await using redis = await connectTestRedis(fleet.redis.port);
  const other = randomUUID();
  const place = storeAt(fleet.anchor.domain);
  await eventually('there is a mark', async () => (await redis.hget(place, 'mark')) !== null);
  await redis.hset(place, 'id', other, 'mark', '0');
  await eventually('it is another store', async () => {
    // Not what was wrong before the acceptances of the blocks before.
    const [, before] = (await client.status()).store_problem?.split(`(${other}) than before (`) ?? [];
    store = before?.split(')')[0] ?? '';
    return store !== '';
  });
}

async function lacksMark(): Promise<void> {
  await eventually('it is an older state', async () => {
    const [, was] = /\(mark 0, was (\d+)\)/.exec((await client.status()).store_problem ?? '') ?? [];
    mark = was ?? '';
    return mark !== '';
  });
}

async function hasIdentity(): Promise<void> {
  await expect.poll(async () => (await client.status()).store_problem, { timeout: 60_000 }).toBe('');
}

async function membersServe(...expected: string[]): Promise<void> {
  await eventually(`${expected.join(' and ')} serve`, async () => {
    const { workers = [], generation, leader } = await client.status();
    const serving = workers.filter((one) => one.standing === 'member' && one.generation === generation);
    return leader !== '' && serving.map(({ member_id: id }) => id).join() === expected.join();
  });
}

/** Each page takes a good minute on a busy machine, and its waits have deadlines of their own. */
const PAGE_MS = 300_000;

test(
  'docs/ceremony.md: found a domain, and change its members, operators and rules',
  async () => {
    const founding = [nothing, nothing, nothing, startServices, nothing, nothing, nothing, nothing, nothing];
    const membersAndPeople = [nothing, nothing, nothing, nothing, nothing, nothing, nothing, nothing];
    const checkpointAndRules = [nothing, writeRules, nothing];
    await runPage('ceremony.md', [...founding, ...membersAndPeople, ...checkpointAndRules]);
    await membersServe('hsm-1', 'hsm-3');
    const { state } = await client.getDomain(parseTrustAnchor(readFileSync(fleet.path('trust-anchor.json'), 'utf8')));
    expect(state.members.map(({ memberId }) => memberId)).toEqual(['hsm-1', 'safe-1', 'hsm-3']);
    expect(state.operators.map(({ operatorId }) => operatorId)).toContain('carla');
  },
  PAGE_MS,
);

test(
  'docs/rotation.md: rotate, and see how far it is',
  async () => {
    const { generation = 0 } = await client.status();
    // For domain keys that may be dropped: a horizon of 30 days is long.
    const noHorizon = async () => {
      await makeRecordKey();
      await runBlock('keyfleet domain propose rules --file rules.json --backup-horizon 0s $DOMAIN $ANNA');
      await runBlock('keyfleet domain approve $PROPOSAL $DOMAIN $BERTA');
    };
    await runPage('rotation.md', [nothing, nothing, nothing, noHorizon, nothing]);
    expect((await client.status()).generation).toBe(generation + 3);
    expect((await client.status()).domain_keys).toHaveLength(1);
    // Nobody reseals it here.
    await using redis = await connectTestRedis(fleet.redis.port);
    await redis.del(RECORD_KEYS, secretAt(recordKeyName(1).name));
  },
  PAGE_MS,
);

test(
  'docs/operations.md: look whether all is well, and back up',
  async () => {
    await runPage('operations.md', [nothing, nothing]);
  },
  PAGE_MS,
);

test(
  'docs/recovery.md: restore Redis, replace a lost worker, and a lost fleet',
  async () => {
    const serveAgain = async () => {
      fleet.managers[0]!.start();
      await membersServe('hsm-1', 'hsm-3');
    };
    const retires = async () => {
      await runBlock('keyfleet domain rotate $DOMAIN $ANNA');
      await runBlock('keyfleet domain retire $DOMAIN_KEY $DOMAIN $ANNA');
      await runBlock('keyfleet domain approve $PROPOSAL $DOMAIN $BERTA');
    };
    await runPage('recovery.md', [
      nothing,
      losesRedis,
      serveAgain,
      retires,
      nothing,
      nothing,
      nothing,
      nothing,
      nothing,
      losesIdentityAndMark,
      lacksMark,
      async () => {
        await hasIdentity();
        await loseVolumes(3);
      },
      nothing,
      nothing,
      nothing,
      () => loseVolumes(1, 3),
      nothing,
      nothing,
      () => membersServe('hsm-1', 'hsm-3'),
    ]);
    await membersServe('hsm-1', 'hsm-3');
  },
  PAGE_MS,
);
