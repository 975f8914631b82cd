// What grows with the number of keys: node bench/scale.ts [--keys 1000] [--workers 2]
import { KMS } from '@aws-sdk/client-kms';
import { DomainManagerClient } from '@keyfleet/cli/domain-manager-client';
import { plaintextPeers } from '@keyfleet/shared/grpc/peers';
import { cliOptionsOf } from '@keyfleet/test-support/cli';
import { startTestCluster, type TestCluster } from '@keyfleet/test-support/cluster';
import { startRedis } from '@keyfleet/test-support/servers';
import { redisOf } from '@keyfleet/test-support/stored-tokens';
import { mkdtempDisposableSync, readFileSync, statSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { resealed, rotate } from './events/domain-rotation.ts';
import { Generators } from './load/generators.ts';
import { loadTarget } from './measure/cluster-load.ts';
import { measureCommand } from './measure/command-line.ts';
import { EvenLoad, type Seen } from './measure/even-load.ts';
import { PreparedTarget } from './measure/prepared-target.ts';
import { machine } from './observe/machine.ts';
import { cpuMicroseconds, pidsOf } from './observe/process-cpu.ts';
import { getScenario } from './scenarios/catalog.ts';
import { bytesOf } from './scenarios/scenario.ts';
import { ofCluster } from './targets/started-targets.ts';

const FILL_CONNECTIONS = 64;
const FILL_MS = { shortest: 500, longest: 15_000 };
const READ_CONNECTIONS = 16;
/** More than the workers' caches hold. */
const MOST_TOUCHED = 20_000;
const POLL_MS = 20;

const { values } = parseArgs({
  options: { keys: { type: 'string', default: '1000' }, workers: { type: 'string', default: '2' } },
});

const startedAt = performance.now();
function say(line: string): void {
  const at = ((performance.now() - startedAt) / 1000).toFixed(0);
  process.stdout.write(`${at} s, load ${loadavg()[0]!.toFixed(1)}: ${line}\n`);
}

function textOf({ requests, failed, p50, p99, longest, othersCores }: Seen): string {
  return `Encrypt ${requests}, ${failed} failed, p50 ${p50.toFixed(1)}, p99 ${p99.toFixed(1)}, longest ${longest.toFixed(0)} ms, others used ${othersCores.toFixed(1)} cores`; // prettier-ignore
}

/** Creates keys over HTTP until there are about that many. */
async function fill(cluster: TestCluster, keys: number): Promise<void> {
  const target = ofCluster({ name: 'keyfleet', kind: 'keyfleet' }, cluster);
  using prepared = new PreparedTarget(target, () => undefined);
  const parts = [{ scenario: getScenario('create-key'), weight: 1 }];
  const pools = await prepared.poolsFor({ name: 'create-key', parts, payload: 32, context: 1, keys: 1 });
  using generators = new Generators(1);
  for (let made = 0, rate = 1_000; made < keys;) {
    const measureMs = Math.min(FILL_MS.longest, Math.max(FILL_MS.shortest, (1_000 * (keys - made)) / rate));
    const load = { pools, connections: FILL_CONNECTIONS, warmupMs: 0, measureMs };
    const { requests, perSecond, p50, p99, failed } = await loadTarget(target, load, generators);
    [made, rate] = [made + requests, perSecond];
    say(`CreateKey: ${made} keys, ${perSecond.toFixed(0)}/s, p50 ${p50.toFixed(1)}, p99 ${p99.toFixed(1)} ms, ${failed} failed`); // prettier-ignore
  }
}

async function sizeOfRedis(cluster: TestCluster): Promise<{ memory: number; file: number }> {
  const redis = redisOf(cluster);
  try {
    const info = await redis.info();
    const of = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1]);
    return { memory: of('used_memory'), file: of('aof_current_size') };
  } finally {
    redis.disconnect();
  }
}

/** Resident megabytes (proc_pid_status(5), VmRSS). */
function sayMemory(cluster: TestCluster): void {
  const memory = Object.entries(pidsOf(cluster, 'domain-manager', 'redis')).map(([name, pid]) => {
    const [, kilobytes] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))!;
    return `${name} ${(Number(kilobytes) / 1024).toFixed(0)}`;
  });
  say(`memory, MB: ${memory.join(', ')}`);
}

/** All pages, one after the other, of at most 1,000 keys. Returns all ids. */
async function measureLists(kms: KMS): Promise<string[]> {
  const [pages, ids]: [number[], string[]] = [[], []];
  const from = performance.now();
  for (let Marker: string | undefined, more = true; more;) {
    const begun = performance.now();
    const { Keys, NextMarker, Truncated } = await kms.listKeys({
      Limit: 1_000,
      ...(Marker !== undefined && { Marker }),
    });
    pages.push(performance.now() - begun);
    ids.push(...Keys!.map(({ KeyId }) => KeyId!));
    [Marker, more] = [NextMarker, Truncated === true];
  }
  const sorted = pages.toSorted((a, b) => a - b);
  const [p50, longest] = [sorted[sorted.length >> 1] ?? 0, sorted.at(-1) ?? 0];
  say(`ListKeys: ${ids.length} keys, ${pages.length} pages in ${(performance.now() - from).toFixed(0)} ms; first ${pages[0]!.toFixed(1)}, p50 ${p50.toFixed(1)}, longest ${longest.toFixed(1)}, last ${pages.at(-1)!.toFixed(1)} ms`); // prettier-ignore
  return ids;
}

/** The same key always, and keys from all over the list in turn. */
async function measureUse(cluster: TestCluster, ids: readonly string[]): Promise<void> {
  const target = ofCluster({ name: 'keyfleet', kind: 'keyfleet' }, cluster);
  using generators = new Generators(1);
  const step = Math.ceil(ids.length / MOST_TOUCHED);
  const many = ids.filter((_, index) => index % step === 0);
  const inputs = { Encrypt: { Plaintext: bytesOf(32) }, DescribeKey: {} };
  for (const [operation, input] of Object.entries(inputs)) {
    for (const touched of [ids.slice(0, 1), many]) {
      const requests = touched.map((KeyId) => target.protocol!.encode({ operation, input: { KeyId, ...input } }));
      const pools = [{ operation, weight: 1, requests }];
      const load = { pools, connections: READ_CONNECTIONS, warmupMs: 3_000, measureMs: 5_000 };
      const { perSecond, p50, p99, failed, cpu } = await loadTarget(target, load, generators);
      const spent = Object.entries(cpu).map(([name, us]) => `${name} ${us.toFixed(0)}`);
      say(`${operation} of ${touched.length} keys: ${perSecond.toFixed(0)}/s, p50 ${p50.toFixed(1)}, p99 ${p99.toFixed(1)} ms, ${failed} failed; us of CPU each: ${spent.join(', ')}`); // prettier-ignore
    }
  }
}

function cpuOf(cluster: TestCluster): Record<string, number> {
  const pids = Object.entries(pidsOf(cluster, 'redis', 'domain-manager'));
  return Object.fromEntries(pids.map(([name, pid]) => [name, cpuMicroseconds(pid) / 1e6]));
}

async function measureRotation(cluster: TestCluster, load: EvenLoad): Promise<void> {
  using client = new DomainManagerClient(`127.0.0.1:${cluster.ports.domainManager}`, plaintextPeers.credentials);
  const before = cpuOf(cluster);
  const { result, seen } = await load.during(async () => resealed(client, await rotate(cluster, client), say));
  const after = cpuOf(cluster);
  const { tokens, began, done, proved } = result;
  const cpu = Object.keys(after).map((name) => `${name} ${(after[name]! - before[name]!).toFixed(1)} s`);
  const rate = ((1000 * tokens) / done).toFixed(0);
  say(`rotation: ${tokens} tokens; begun after ${began.toFixed(0)} ms, resealed in ${done.toFixed(0)} ms (${rate}/s), proved after ${proved.toFixed(0)} ms; cpu ${cpu.join(', ')}; ${textOf(seen)}`); // prettier-ignore
}

/** Backup and doctor while callers encrypt, then a restore into another Redis by itself. */
async function measureCommands(cluster: TestCluster, load: EvenLoad): Promise<void> {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'keyfleet-bench-'));
  const file = join(folder.path, 'backup');
  const { domain, redis } = cliOptionsOf(cluster);
  const sayUse = (what: string, { seconds, exitCode, memory }: Awaited<ReturnType<typeof measureCommand>>, more = '') =>
    say(`${what}: ${seconds.toFixed(1)} s (exit ${exitCode}), ${memory.toFixed(0)} MB${more}`);
  const backup = await load.during(() => measureCommand('backup', '--out', file, ...redis));
  sayUse('backup', backup.result, `, file of ${(statSync(file).size / 1e6).toFixed(0)} MB; ${textOf(backup.seen)}`);
  const quick = await load.during(() => measureCommand('doctor', ...domain, ...redis));
  sayUse('doctor', quick.result, `; ${textOf(quick.seen)}`);
  const census = await load.during(() => measureCommand('doctor', '--census', ...domain, ...redis));
  sayUse('doctor --census', census.result, `; ${textOf(census.seen)}`);
  await using other = await startRedis();
  sayUse('restore', await measureCommand('restore', file, '--redis', `redis://127.0.0.1:${other.port}`));
}

/** Kills and restarts Redis, and measures until a key that no frontend holds is described. */
async function measureKilledRedis(cluster: TestCluster, kms: KMS, KeyId: string): Promise<void> {
  await cluster.kill('redis');
  const from = performance.now();
  await cluster.restart('redis');
  const answers = performance.now() - from;
  const isServed = () => kms.describeKey({ KeyId }).then(() => true, () => false); // prettier-ignore
  while (!(await isServed())) await delay(POLL_MS);
  say(`Redis killed: answers after ${answers.toFixed(0)} ms, a miss is served after ${(performance.now() - from).toFixed(0)} ms`); // prettier-ignore
}

const { commit, cores, cpu, node } = await machine();
say(`commit ${commit}, ${cores} x ${cpu}, Node ${node}; everything on this machine`);
await using cluster = await startTestCluster({ workers: Number(values.workers), rsaKeyPool: {} });
const { endpoint, credentials } = cluster;
const kms = new KMS({ endpoint, credentials, region: 'us-east-1' });
const empty = await sizeOfRedis(cluster);
await fill(cluster, Number(values.keys));
const ids = await measureLists(kms);
const full = await sizeOfRedis(cluster);
say(`Redis: ${((full.memory - empty.memory) / ids.length).toFixed(0)} bytes of memory a key, ${((full.file - empty.file) / ids.length).toFixed(0)} of file`); // prettier-ignore
sayMemory(cluster);
using load = await EvenLoad.on(cluster);
say(`nothing else: ${textOf((await load.during(() => delay(10_000))).seen)}`);
await measureRotation(cluster, load);
sayMemory(cluster);
await measureCommands(cluster, load);
await measureUse(cluster, ids);
sayMemory(cluster);
await measureKilledRedis(cluster, kms, ids.at(-1)!);
kms.destroy();
