import { execa } from 'execa';
import { cpSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../../tools/readiness.ts';
import { certManagerDefinitions } from './support/binaries.ts';
import { type ControlPlane, startControlPlane } from './support/control-plane.ts';
import { commandsWith } from './support/documented-commands.ts';
import { FOUNDERS, newFounder, writeKeyfleet, writeProgram } from './support/topology/first-start.ts';
import { writeWorkerCount } from './support/worker-count.ts';

// The commands of docs/kubernetes.md that ask nothing of a node, as they stand, on a real API server. They build on
// each other, in the order of the page.

let server: ControlPlane;
let laptop: string;
const resources = new AsyncDisposableStack();
beforeAll(async () => {
  server = await startControlPlane(resources);
  const definitions = ['apply', '--server-side', '--filename', await certManagerDefinitions()];
  expect((await server.kubectl(definitions)).exitCode).toBe(0);
  laptop = resources.use(await mkdtempDisposable(join(tmpdir(), 'keyfleet-laptop-'))).path;
  for (const founder of FOUNDERS) newFounder(laptop, founder);
  writeKeyfleet(laptop);
  // What waits for a Pod that is ready would wait for a node. It takes a second at least: kubectl refuses two restarts
  // within one.
  writeProgram(laptop, 'kubectl', `[ "$1 $2" = "rollout status" ] && exec sleep 1\nexec "${server.program}" "$@"`);
  cpSync(join(import.meta.dirname, '../../deploy'), join(laptop, 'deploy'), { recursive: true });
});
afterAll(() => resources.disposeAsync());

async function run(part: string): Promise<string> {
  const env = { PATH: `${laptop}:${process.env['PATH']}`, KUBECONFIG: server.kubeconfig };
  const { stdout } = await execa('bash', ['-euo', 'pipefail', '-c', commandsWith(part)], { cwd: laptop, env });
  return stdout;
}

interface Found {
  readonly data: Readonly<Record<string, string>>;
  readonly spec: { readonly replicas: number };
}
const get = (what: string) => server.get<Found>('--namespace', 'keyfleet', what);
const isThere = async (what: string): Promise<boolean> =>
  (await server.kubectl(['--namespace', 'keyfleet', 'get', what])).exitCode === 0;
const appears = (what: string) =>
  until(
    () => isThere(what),
    60_000,
    () => false,
  );

test('First start', async () => {
  await run('keyfleet domain anchor');
  await run('kubectl create secret');
  for (const name of ['frontend', 'domain-manager', 'hsm-worker-seal-keys', 'redis-passwords', 'nats-passwords'])
    expect(await isThere(`secret/${name}`), name).toBe(true);
  expect((await get('statefulset/hsm-worker')).spec.replicas).toBe(3);
  await expect.poll(() => run('kubectl get pods'), { timeout: 60_000 }).toContain('Pending');
});

test('Workers: more, fewer, lost', async () => {
  writeWorkerCount(join(laptop, 'deploy'), 4);
  await run('seal-key.json');
  const sealKeys = async () => Object.keys((await get('secret/hsm-worker-seal-keys')).data);
  expect(await sealKeys()).toContain('hsm-worker-3');
  expect(await appears('pvc/identity-hsm-worker-3')).toBe(true);
  writeWorkerCount(join(laptop, 'deploy'), 3);
  await run('delete pvc identity-hsm-worker-3');
  expect(await sealKeys()).toEqual(['hsm-worker-0', 'hsm-worker-1', 'hsm-worker-2']);
  expect(await isThere('pvc/identity-hsm-worker-3')).toBe(false);
});

test('Passwords', async () => {
  const names = ['frontend', 'domain-manager', 'operator', 'replica', 'sentinel'];
  const passwords = async () => (await get('secret/redis-passwords')).data;
  const before = await passwords();
  const changed = (of: Readonly<Record<string, string>>) =>
    Object.fromEntries(names.map((name) => [`${name}.also`, of[name]!]));
  await run('>redis-$name.before');
  const accepted = await passwords();
  expect(accepted).toMatchObject(before);
  expect(Object.keys(accepted)).toHaveLength(2 * names.length);
  await run('"%s":"%s","%s.also":"%s"');
  const used = await passwords();
  expect(used).toEqual({
    ...Object.fromEntries(names.map((name) => [name, accepted[`${name}.also`]])),
    ...changed(before),
  });
  expect(used['frontend']).not.toBe(before['frontend']);
  await run('rm redis-$name.before');
  expect(await passwords()).toEqual(Object.fromEntries(names.map((name) => [name, used[name]])));

  const ofNats = async () => (await get('secret/nats-passwords')).data;
  const known = await ofNats();
  await run('patch secret nats-passwords');
  const renewed = await ofNats();
  expect(Object.keys(renewed)).toEqual(Object.keys(known));
  for (const name of Object.keys(known)) expect(renewed[name]).not.toBe(known[name]);
});

test('Backup and restore', async () => {
  expect(await appears('pvc/data-redis-2')).toBe(true);
  await run('delete pvc data-redis-0 data-redis-1');
  expect((await get('deployment/frontend')).spec.replicas).toBe(0);
  expect((await get('statefulset/redis')).spec.replicas).toBe(3);
});

test('What ends with a Pod', async () => {
  const checkpoint = '{"the": "checkpoint"}';
  writeFileSync(join(laptop, 'checkpoint.json'), checkpoint);
  await run('trust-anchor.json=checkpoint.json');
  expect((await get('configmap/trust-anchor')).data).toEqual({ 'trust-anchor.json': checkpoint });
});

test('Workload identity', async () => {
  await run('openid/v1/jwks');
  expect(JSON.parse((await get('configmap/cluster-issuer-keys')).data['jwks.json']!)).toHaveProperty('keys');
  expect(JSON.parse(await run('openid-configuration'))).toHaveProperty('issuer');
});

test('A load test', async () => {
  await run('replace --force');
  expect(await isThere('job/load-test')).toBe(true);
  await run('delete -k');
  expect(await isThere('job/load-test')).toBe(false);
});
