import { plaintextPeers } from '@keyfleet/shared/grpc/peers';
// What a rotation costs while the cluster serves: node bench/reseal.ts [--keys 20000] [--workers 1]
import { KMS } from '@aws-sdk/client-kms';
import { DomainManagerClient } from '@keyfleet/cli/domain-manager-client';
import { startTestCluster, type TestCluster } from '@keyfleet/test-support/cluster';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { describeWorker } from '../tools/readiness.ts';
import { resealed, rotate } from './events/domain-rotation.ts';
import { loadCluster } from './measure/cluster-load.ts';
import { machine } from './observe/machine.ts';
import { cpuMicroseconds, pidsOf } from './observe/process-cpu.ts';

const FILL_CONNECTIONS = 64;
const HALF_LOAD_CONNECTIONS = 8;
const POLL_MS = 20;

const { values } = parseArgs({
  options: { keys: { type: 'string', default: '20000' }, workers: { type: 'string', default: '1' } },
});

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Creates keys over HTTP, through the HSM, until there are that many. */
async function fill(cluster: TestCluster, keys: number): Promise<void> {
  for (let made = 0; made < keys;) {
    const creating = { scenario: 'create-key', connections: FILL_CONNECTIONS, warmupMs: 0, measureMs: 5_000 };
    const { requests, perSecond } = await loadCluster(cluster, creating);
    made += requests;
    say(`  ${made} keys (${perSecond.toFixed(0)}/s)`);
  }
}

function cpuOf(cluster: TestCluster): Record<string, number> {
  const pids = Object.entries(pidsOf(cluster, 'redis', 'domain-manager'));
  return Object.fromEntries(pids.map(([name, pid]) => [name, cpuMicroseconds(pid) / 1e6]));
}

async function measureRotation(cluster: TestCluster, client: DomainManagerClient, what: string): Promise<void> {
  const before = cpuOf(cluster);
  const { tokens, began, done, proved } = await resealed(client, await rotate(cluster, client));
  const after = cpuOf(cluster);
  const cpu = Object.keys(after).map((name) => `${name} ${(after[name]! - before[name]!).toFixed(1)} s`);
  const rate = ((1000 * tokens) / done).toFixed(0);
  say(`${what}: ${tokens} tokens; begun after ${began.toFixed(0)} ms, resealed in ${done.toFixed(0)} ms (${rate}/s), proved after ${proved.toFixed(0)} ms; cpu ${cpu.join(', ')}`); // prettier-ignore
}

/** All pages, one after the other, of at most 1,000 keys. */
async function measureLists(cluster: TestCluster): Promise<void> {
  const kms = new KMS({ endpoint: cluster.endpoint, credentials: cluster.credentials, region: 'us-east-1' });
  const pages: number[] = [];
  const from = performance.now();
  for (let Marker: string | undefined, more = true; more;) {
    const begun = performance.now();
    const { NextMarker, Truncated } = await kms.listKeys({ Limit: 1_000, ...(Marker !== undefined && { Marker }) });
    pages.push(performance.now() - begun);
    [Marker, more] = [NextMarker, Truncated === true];
  }
  kms.destroy();
  const [first = 0] = pages;
  const sorted = pages.toSorted((a, b) => a - b);
  const [p50, longest] = [sorted[sorted.length >> 1] ?? 0, sorted.at(-1) ?? 0];
  say(`ListKeys: ${pages.length} pages in ${(performance.now() - from).toFixed(0)} ms; first ${first.toFixed(1)}, p50 ${p50.toFixed(1)}, longest ${longest.toFixed(1)} ms`); // prettier-ignore
}

/** From the start of the process until the worker has its domain keys. */
async function measureWorkerStart(cluster: TestCluster): Promise<void> {
  const [name = ''] = cluster.home.workerNames;
  const [port = 0] = cluster.ports.workers;
  await cluster.kill(name);
  const from = performance.now();
  await cluster.restart(name);
  const answers = performance.now() - from;
  while (((await describeWorker(port))?.active_generation ?? 0) === 0) await delay(POLL_MS);
  say(`worker start: answers after ${answers.toFixed(0)} ms, serves after ${(performance.now() - from).toFixed(0)} ms`);
}

const { commit, cores, cpu, node } = await machine();
say(`commit ${commit}, ${cores} x ${cpu}, Node ${node}; everything on this machine`);
await using cluster = await startTestCluster({ workers: Number(values.workers) });
await fill(cluster, Number(values.keys));
await measureLists(cluster);

using client = new DomainManagerClient(`127.0.0.1:${cluster.ports.domainManager}`, plaintextPeers.credentials);
await measureRotation(cluster, client, 'rotation, idle');

const encrypt = { scenario: 'encrypt', connections: HALF_LOAD_CONNECTIONS, warmupMs: 1_000 };
const alone = await loadCluster(cluster, { ...encrypt, measureMs: 5_000 });
say(`Encrypt alone, ${HALF_LOAD_CONNECTIONS} connections: ${alone.perSecond.toFixed(0)}/s, p50 ${alone.p50.toFixed(2)}, p99 ${alone.p99.toFixed(2)} ms`); // prettier-ignore
const during = loadCluster(cluster, { ...encrypt, measureMs: 8_000 });
await delay(1_000);
await measureRotation(cluster, client, 'rotation under Encrypt');
const { perSecond, p50, p99 } = await during;
say(`Encrypt during it: ${perSecond.toFixed(0)}/s, p50 ${p50.toFixed(2)}, p99 ${p99.toFixed(2)} ms`);
await measureWorkerStart(cluster);
