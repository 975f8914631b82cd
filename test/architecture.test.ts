import { importsOf, isTest, production, root, textOf } from '@keyfleet/test-support/sources';
import { globSync } from 'node:fs';
import { expect, test } from 'vitest';

/** Every import of a file, or of the files under a folder, that is not one of `allowed`, as `file -> import`. */
function forbidden(place: string, allowed: readonly RegExp[]): string[] {
  const files = production.filter((file) => file === place || file.startsWith(`${place}/`));
  expect(files, `${place} is empty: the rule guards nothing`).not.toEqual([]);
  return files
    .flatMap(importsOf)
    .filter(({ to }) => !allowed.some((pattern) => pattern.test(to)))
    .map(({ from, to }) => `${from} -> ${to}`);
}

test('the reader of imports sees every form of them', () => {
  const found = importsOf('test/architecture.test.ts').map(({ to }) => to);
  expect(found).toEqual(['@keyfleet/test-support/sources', 'node:fs', 'vitest']);
  expect(production.flatMap(importsOf).length).toBeGreaterThan(production.length);
});

test('the security boundary imports cryptography, contracts and itself, and nothing that reaches outside', () => {
  const boundary = 'services/hsm-worker/src/boundary';
  // A module runs in a process of its own: who starts it and calls it reaches there, and it reads a PIN from a pipe.
  const moduleCallers = [
    'functions.ts -> node:ffi',
    'memory.ts -> node:ffi',
    'token-process-main.ts -> node:fs',
    'token-process.ts -> node:child_process',
  ];
  expect(
    forbidden(boundary, [
      // A thread of the same process, for work that would hold up every other command.
      /^node:(crypto|util|worker_threads)$/,
      /^zod$/,
      /^@noble\/(curves|post-quantum|hashes)\//,
      /^@keyfleet\/shared\/(hsm|domain|encoding)\//,
      /^@keyfleet\/shared\/(errors\/exceptions|algorithms|key-specs|ids|clock|bounded-cache)$/,
      new RegExp(`^${boundary}/`),
    ]),
  ).toEqual(moduleCallers.map((caller) => `${boundary}/pkcs11/${caller}`));
});

test('what the boundary imports of shared is pure too', () => {
  for (const folder of ['hsm', 'domain', 'encoding']) {
    expect(
      forbidden(`packages/shared/src/${folder}`, [
        /^node:(crypto|util|buffer)$/,
        /^zod$/,
        /^packages\/shared\/src\/(hsm|domain|encoding)\//,
        /^packages\/shared\/src\/(algorithms|key-specs|ids|clock|errors\/exceptions)\.ts$/,
      ]),
    ).toEqual([]);
  }
});

test('policies and signatures are decided without input or output', () => {
  const policy = [
    /^zod$/,
    /^@keyfleet\/shared\/(errors\/exceptions|ip-networks|bounded-cache)$/,
    /^services\/frontend\/src\/(policy\/|keys\/kms-key\.ts$)/,
  ];
  expect(forbidden('services/frontend/src/policy', policy)).toEqual([]);
  const sigv4 = [/^node:crypto$/, /^packages\/shared\/src\/errors\/exceptions\.ts$/];
  expect(forbidden('packages/shared/src/sigv4.ts', sigv4)).toEqual([]);
});

test('keys/ reaches outside only through the HSM commands and the store that it is handed', () => {
  const contracts = ['services/frontend/src/hsm/commands.ts', 'services/frontend/src/store/store.ts'];
  const folder = 'services/frontend/src/keys';
  const pure = [
    /^@keyfleet\/shared\/(key-specs|algorithms|errors\/exceptions|ids|clock|arn|api\/(operation|keys))$/,
    new RegExp(`^${folder}/`),
  ];
  expect(forbidden(folder, [...pure, ...contracts.map((file) => new RegExp(`^${file}$`))])).toEqual([]);
  const files = production.filter((file) => file.startsWith(`${folder}/`));
  const values = files.filter((file) => /import (?!type)[^;]*'\.\.\/(hsm|store)\//.test(textOf(file)));
  expect(values).toEqual([]);
});

/**
 * docs/decisions/0005-the-cli-is-an-offline-member.md; and where it acts as a frontend does: the doctor has everything
 * opened and verified, an account is begun, and records are given MACs.
 */
const cliAsMember = [
  'packages/cli/src/authenticate-records.ts -> @keyfleet/frontend/store/store',
  'packages/cli/src/backup/authentic.ts -> @keyfleet/frontend/store/record-key',
  'packages/cli/src/backup/authentic.ts -> @keyfleet/frontend/store/record-mac',
  'packages/cli/src/backup/authentic.ts -> @keyfleet/frontend/store/record-places',
  'packages/cli/src/backup/authentic.ts -> @keyfleet/frontend/store/store',
  'packages/cli/src/backup/sound.ts -> @keyfleet/frontend/store/record-key',
  'packages/cli/src/doctor/check-fleet-keys.ts -> @keyfleet/frontend/store/fleet',
  'packages/cli/src/doctor/check-fleet-keys.ts -> @keyfleet/frontend/store/store',
  'packages/cli/src/doctor/check-record-key.ts -> @keyfleet/frontend/store/record-key',
  'packages/cli/src/doctor/check-record-key.ts -> @keyfleet/frontend/store/store',
  'packages/cli/src/doctor/check-records.ts -> @keyfleet/frontend/store/store',
  'packages/cli/src/doctor/open-tokens.ts -> @keyfleet/frontend/hsm/commands',
  'packages/cli/src/doctor/open-tokens.ts -> @keyfleet/frontend/hsm/pool',
  'packages/cli/src/doctor/record-key.ts -> @keyfleet/frontend/store/fleet-key',
  'packages/cli/src/doctor/record-key.ts -> @keyfleet/frontend/store/record-fence',
  'packages/cli/src/doctor/record-key.ts -> @keyfleet/frontend/store/record-key',
  'packages/cli/src/host-pool.ts -> @keyfleet/frontend/hsm/client',
  'packages/cli/src/host-pool.ts -> @keyfleet/frontend/hsm/known-domain',
  'packages/cli/src/host-pool.ts -> @keyfleet/frontend/hsm/pool',
  'packages/cli/src/host-pool.ts -> @keyfleet/frontend/hsm/sealing',
  'packages/cli/src/host-pool.ts -> @keyfleet/frontend/hsm/worker-client',
  'packages/cli/src/list-entries.ts -> @keyfleet/frontend/store/record-mac',
  'packages/cli/src/offline-members.ts -> @keyfleet/hsm-worker/boundary/offline-member',
  'packages/cli/src/older-records.ts -> @keyfleet/frontend/store/record-mac',
  'packages/cli/src/operator-key-file.ts -> @keyfleet/hsm-worker/boundary/seal-key',
  'packages/cli/src/record-key-numbers.ts -> @keyfleet/frontend/store/record-key',
  'packages/cli/src/records.ts -> @keyfleet/frontend/hsm/client',
  'packages/cli/src/records.ts -> @keyfleet/frontend/store/record-key',
  'packages/cli/src/records.ts -> @keyfleet/frontend/store/record-key-floor',
  'packages/cli/src/records.ts -> @keyfleet/frontend/store/record-keys',
  'packages/cli/src/records.ts -> @keyfleet/frontend/store/record-mac',
  'packages/cli/src/records.ts -> @keyfleet/frontend/store/record-macs',
  'packages/cli/src/records.ts -> @keyfleet/frontend/store/record-places',
  'packages/cli/src/records.ts -> @keyfleet/frontend/store/redis-calls',
  'packages/cli/src/records.ts -> @keyfleet/frontend/store/redis-fleet-secrets',
  'packages/cli/src/records.ts -> @keyfleet/frontend/store/store',
  'packages/cli/src/rotate-record-key.ts -> @keyfleet/frontend/store/record-key',
  'packages/cli/src/rotate-record-key.ts -> @keyfleet/frontend/store/record-keys',
  'packages/cli/src/rotate-record-key.ts -> @keyfleet/frontend/store/record-mac',
  'packages/cli/src/rotate-record-key.ts -> @keyfleet/frontend/store/store',
  'packages/cli/src/unlisted.ts -> @keyfleet/frontend/store/record-mac',
  'packages/cli/src/verbs/account.ts -> @keyfleet/frontend/background/credentials-file',
  'packages/cli/src/verbs/account.ts -> @keyfleet/frontend/background/first-administrator',
  'packages/cli/src/verbs/account.ts -> @keyfleet/frontend/store/redis-store',
  'packages/cli/src/verbs/domain/domain-keys.ts -> @keyfleet/frontend/store/record-key',
];

test('shared imports nothing of services, and no service imports another', () => {
  const offenders = production.flatMap(importsOf).filter(({ from, to }) => {
    const owner = from.split('/').slice(0, 2).join('/');
    if (to.startsWith('services/') || to.startsWith('packages/')) return !to.startsWith(`${owner}/`);
    return (
      /^@keyfleet\/(frontend|hsm-worker|domain-manager)\b/.test(to) ||
      (owner === 'packages/shared' && to.startsWith('@keyfleet/'))
    );
  });
  expect(offenders.map(({ from, to }) => `${from} -> ${to}`).toSorted()).toEqual(cliAsMember);
});

test('only what is named may use gRPC, Redis, NATS and OpenTelemetry in shared', () => {
  const clients = /^(@grpc\/|ioredis|nats|@opentelemetry\/|pino)/;
  const offenders = production
    .filter((file) => file.startsWith('packages/shared/'))
    .filter(
      (file) =>
        !/\/(telemetry\/export-thread|grpc\/\w+|notices|bounded-nats|streams|work-queue|log|redis\/(connect|durability|sentinels))\.ts$/.test(
          file,
        ),
    )
    .flatMap(importsOf)
    .filter(({ to }) => clients.test(to));
  expect(offenders).toEqual([]);
});

test('hsm-workers have no way to Redis', () => {
  const offenders = production
    .filter((file) => file.startsWith('services/hsm-worker/'))
    .flatMap(importsOf)
    .filter(({ to }) => /^(ioredis|redis|@keyfleet\/shared\/redis)\b/.test(to));
  expect(offenders).toEqual([]);
});

/** What a test imports, by itself or by what it imports of `test/support`. */
function reachedFrom(file: string, reached = new Set<string>()): Set<string> {
  if (reached.has(file)) return reached;
  reached.add(file);
  for (const { to } of importsOf(file)) {
    const path = to.replace(/^@keyfleet\/test-support\/(.*)$/, 'test/support/$1.ts');
    if (path.startsWith('test/support/')) reachedFrom(path, reached);
    else reached.add(to);
  }
  return reached;
}

test('tests beside the code start no Redis, NATS, service or cluster', () => {
  const tests = globSync('{packages,services}/*/src/**/*.{test,contract}.ts', { cwd: root });
  const servers = /^(ioredis|nats|@nats-io\/|get-port|test\/support\/(servers|cluster|workers)\.ts)/;
  expect([...reachedFrom('test/integration/chaos.test.ts')].some((to) => servers.test(to))).toBe(true);
  expect(tests.filter((file) => [...reachedFrom(file)].some((to) => servers.test(to)))).toEqual([]);
});

test('nothing that runs in production imports tests', () => {
  const ofTests = (to: string) => /^(test\/|@keyfleet\/test-support\b)/.test(to) || isTest(to);
  const offenders = production.flatMap(importsOf).filter(({ to }) => ofTests(to));
  expect(offenders).toEqual([]);
});
