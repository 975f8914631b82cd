// What Encrypt costs on a key of each origin, and others' keys while a store hangs: node bench/stores.ts [--rounds 3]
import { readFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { TestCluster } from '@keyfleet/test-support/cluster';
import { Generators } from './load/generators.ts';
import { loadTarget, type Measured } from './measure/cluster-load.ts';
import { machine } from './observe/machine.ts';
import { untilIdle } from './observe/process-cpu.ts';
import { startStoreCluster } from './store-cluster.ts';
import { awsJson } from './targets/aws-json.ts';
import { ofCluster } from './targets/started-targets.ts';
import type { Target } from './targets/target.ts';

const CONNECTIONS = 8;
const times = { warmupMs: 1_000, measureMs: 4_000 };
/** Longer than any proxy may take. */
const HANGS_MS = 2_000;

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '3' } } });
const rounds = Array.from({ length: Number(values.rounds) }, (_, i) => i);

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** With the processes in which hsm-workers run the token's module. */
function targetOf(cluster: TestCluster): Target {
  const target = ofCluster({ name: 'keyfleet', kind: 'keyfleet' }, cluster);
  const tokens = (): [string, number][] =>
    cluster.home.workerNames.flatMap((name) => {
      const pid = cluster.pid(name)!;
      const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean);
      return children.map((child): [string, number] => [`token ${child}`, Number(child)]);
    });
  return { ...target, processes: () => ({ ...target.processes(), ...Object.fromEntries(tokens()) }) };
}

const protocol = awsJson();
const Plaintext = Buffer.alloc(32).toString('base64');

function encrypting(target: Target, KeyId: string, generators: Generators): Promise<Measured> {
  const requests = [protocol.encode({ operation: 'Encrypt', input: { KeyId, Plaintext } })];
  const pools = [{ operation: 'Encrypt', weight: 1, requests }];
  return loadTarget(target, { pools, connections: CONNECTIONS, ...times }, generators);
}

function median(measured: readonly Measured[], of: (one: Measured) => number): number {
  const sorted = measured.map(of).toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}

/** Microseconds of CPU of all processes whose name begins so. */
function cpuOf(name: string): (one: Measured) => number {
  return ({ cpu }) => Object.entries(cpu).reduce((sum, [each, used]) => (each.startsWith(name) ? sum + used : sum), 0);
}

function row(name: string, measured: readonly Measured[]): string {
  const figures = [
    median(measured, ({ p50 }) => p50).toFixed(2),
    median(measured, ({ p99 }) => p99).toFixed(2),
    ...['frontend', 'hsm-worker', 'token'].map((process) => median(measured, cpuOf(process)).toFixed(0)),
    String(measured.reduce((sum, { failed }) => sum + failed, 0)),
  ];
  return `| ${[name, ...figures].join(' | ')} |`;
}

const { commit, cores, cpu, node } = await machine();
say(
  `commit ${commit}, ${cores} x ${cpu}, Node ${node}; everything on this machine; medians of ${rounds.length} rounds`,
);
await using resources = new AsyncDisposableStack();
const directory = resources.use(await mkdtempDisposable(join(tmpdir(), 'keyfleet-stores-'))).path;
const { cluster, keys, slowKey, slow, kms } = await startStoreCluster(directory, resources);
const target = targetOf(cluster);
await untilIdle(Object.values(target.processes()), 30_000);
using generators = new Generators(1);
using others = new Generators(1);

const byOrigin = new Map<string, Measured[]>();
for (const _ of rounds) {
  for (const [origin, KeyId] of Object.entries(keys)) {
    byOrigin.getOrInsertComputed(origin, () => []).push(await encrypting(target, KeyId, generators));
  }
}
say(`\n${CONNECTIONS} connections; milliseconds, and microseconds of CPU for each request`);
say('| Encrypt | p50 | p99 | frontend | hsm-workers | token | failed |\n| --- | --- | --- | --- | --- | --- | --- |');
for (const [origin, measured] of byOrigin) say(row(origin, measured));

/** A frontend asks a store again some seconds after it hung. */
async function untilUsed(): Promise<void> {
  const isUsed = () => kms.encrypt({ KeyId: slowKey, Plaintext: Buffer.alloc(1) }).then(() => true, () => false); // prettier-ignore
  while (!(await isUsed())) await delay(100);
}

const beside = new Map<string, Measured[]>();
for (const _ of rounds) {
  for (const [what, delayMs] of [
    ['answers', 0],
    ['hangs', HANGS_MS],
  ] as const) {
    slow.delayMs = 0;
    await untilUsed();
    slow.delayMs = delayMs;
    // The same callers in both: what is compared is a store that answers with one that hangs.
    const [own] = await Promise.all([
      encrypting(target, keys['AWS_KMS']!, generators),
      encrypting(target, slowKey, others),
    ]);
    beside.getOrInsertComputed(what, () => []).push(own);
  }
}
say(`\nEncrypt on AWS_KMS while ${CONNECTIONS} other connections use an external key store that`);
say('| store | p50 | p99 | frontend | hsm-workers | token | failed |\n| --- | --- | --- | --- | --- | --- | --- |');
for (const [what, measured] of beside) say(row(what, measured));
