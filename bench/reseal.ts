// What a rotation costs while the cluster serves: node bench/reseal.ts [--keys 20000] [--workers 1]
import { CreateKeyCommand } from '@aws-sdk/client-kms';
import { DomainManagerClient } from '@keyfleet/cli/domain-manager-client';
import { boundTo, newProposal, signProposal } from '@keyfleet/shared/domain/proposal';
import { parseTrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { setTimeout as delay } from 'node:timers/promises';
import { kmsClient } from '../test/support/aws-client.ts';
import { startTestCluster, type TestCluster } from '../test/support/cluster.ts';
import { describeWorker } from '../tools/readiness.ts';
import type { LoadJob } from './load.ts';
import { measure } from './measure.ts';
import { cpuMicroseconds, pidsOf } from './process-cpu.ts';
import { machine } from './report.ts';

const region = 'us-east-1';
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
async function fill(keys: number, job: Omit<LoadJob, 'operation' | 'bodies' | 'measureMs' | 'connections'>) {
  for (let made = 0; made < keys;) {
    const wanted = { operation: 'CreateKey', bodies: ['{}'], connections: FILL_CONNECTIONS, measureMs: 5_000 };
    const { requests, seconds } = await measure({ ...job, ...wanted, warmupMs: 0 }, {});
    made += requests;
    say(`  ${made} keys (${(requests / seconds).toFixed(0)}/s)`);
  }
}

async function rotate(cluster: TestCluster, client: DomainManagerClient): Promise<number> {
  const known = await client.getDomain(parseTrustAnchor(readFileSync(cluster.home.trustAnchorFile, 'utf8')));
  const command = { ...boundTo(known, known.state.members[0]!.memberId), name: 'RotateDomainKeys' as const, body: {} };
  const privateKey = createPrivateKey(readFileSync(cluster.home.keyFile('operator-1')));
  await client.propose(signProposal(newProposal(command), { operatorId: 'operator-1', privateKey }));
  return known.state.generation + 1;
}

/** Waits for the first pass, in which everything is resealed, and for the proof that nothing is left; milliseconds of each. */
async function resealed(client: DomainManagerClient, generation: number) {
  const from = performance.now();
  let tokens = 0;
  let began: number | undefined;
  for (let done: number | undefined; ; await delay(POLL_MS)) {
    const { reseal } = await client.status();
    if (reseal?.generation !== generation) continue;
    began ??= performance.now();
    // A later pass, which only proves that nothing is left, begins to count again.
    tokens = Math.max(tokens, reseal.resealed ?? 0);
    // The number of tokens is reported shard by shard.
    if (done === undefined && (reseal.resealed ?? 0) > 0 && reseal.shards_done === reseal.shards)
      done = performance.now();
    if (reseal.verified !== true) continue;
    const end = performance.now();
    return { tokens, began: began - from, done: (done ?? end) - began, proved: end - from };
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
const target = { host: '127.0.0.1', port: cluster.ports.http, region, ...cluster.credentials };
await fill(Number(values.keys), { target, warmupMs: 0 });

using client = new DomainManagerClient(`127.0.0.1:${cluster.ports.domainManager}`);
await measureRotation(cluster, client, 'rotation, idle');

const kms = kmsClient(cluster);
const { KeyMetadata } = await kms.send(new CreateKeyCommand({}));
kms.destroy();
const bodies = [JSON.stringify({ KeyId: KeyMetadata!.Arn, Plaintext: Buffer.alloc(32, 7).toString('base64') })];
const encrypt = { target, operation: 'Encrypt', bodies, connections: HALF_LOAD_CONNECTIONS, warmupMs: 1_000 };
const alone = await measure({ ...encrypt, measureMs: 5_000 }, {});
say(`Encrypt alone, ${HALF_LOAD_CONNECTIONS} connections: ${(alone.requests / alone.seconds).toFixed(0)}/s, p50 ${alone.p50.toFixed(2)}, p99 ${alone.p99.toFixed(2)} ms`); // prettier-ignore
const during = measure({ ...encrypt, measureMs: 8_000 }, {});
await delay(1_000);
await measureRotation(cluster, client, 'rotation under Encrypt');
const { requests, seconds, p50, p99 } = await during;
say(`Encrypt during it: ${(requests / seconds).toFixed(0)}/s, p50 ${p50.toFixed(2)}, p99 ${p99.toFixed(2)} ms`);
await measureWorkerStart(cluster);
