// What OpenTelemetry costs when it is on: node bench/telemetry.ts [--connections 16] [--seconds 5] [--rounds 8]
import { parseArgs } from 'node:util';
import { kmsClient } from '../test/support/aws-client.ts';
import { startTestCluster } from '../test/support/cluster.ts';
import type { LoadJob } from './load.ts';
import { measure } from './measure.ts';
import { startOtlpSink } from './otlp-sink.ts';
import { untilIdle } from './process-cpu.ts';
import { machine } from './report.ts';
import { scenarios } from './scenarios.ts';

const region = 'us-east-1';
/** A cluster's first load: code is compiled, and spans and metrics are exported for the first time. */
const FIRST_WARMUP_MS = 8_000;
const WARMUP_MS = 1_000;
/** Clusters of each setting: two processes of one program differ by several percent in what they compile and when. */
const REPLICAS = 2;
const IDLE_BUDGET_MS = 60_000;

const { values } = parseArgs({
  options: {
    connections: { type: 'string', default: '16' },
    seconds: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '8' },
  },
});

using sink = await startOtlpSink();
const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: sink.endpoint };

/** The settings an operator would write; the first is what the others are compared with. */
const settings: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  off: {},
  metrics: { ...endpoint, OTEL_TRACES_EXPORTER: 'none' },
  'metrics and traces, by default': endpoint,
  'metrics and every trace': { ...endpoint, OTEL_TRACES_SAMPLER: 'always_on' },
};

await using resources = new AsyncDisposableStack();
interface Variant {
  readonly name: string;
  readonly job: LoadJob;
  readonly processes: Readonly<Record<string, number>>;
}

const encrypt = scenarios.find(({ name }) => name === 'encrypt')!;

async function startVariant(name: string, environment: Readonly<Record<string, string>>): Promise<Variant> {
  // oxlint-disable-next-line node/no-process-env -- the SDK's settings, which the cluster passes on to its services
  const env = process.env;
  Object.assign(env, environment);
  const cluster = resources.use(await startTestCluster({ workers: 2 }));
  for (const setting of Object.keys(environment)) delete env[setting];
  const bodies = await encrypt.bodies(kmsClient(cluster));
  const target = { host: '127.0.0.1', port: cluster.ports.http, region, ...cluster.credentials };
  const timing = { warmupMs: FIRST_WARMUP_MS, measureMs: 1000 * Number(values.seconds) };
  const job = { target, operation: encrypt.operation, bodies, connections: Number(values.connections), ...timing };
  const names = ['frontend', ...cluster.home.workerNames];
  return { name, job, processes: Object.fromEntries(names.map((one) => [one, cluster.pid(one) ?? 0])) };
}

/** Microseconds of CPU per request: of the frontend, and of all hsm-workers together. */
interface Cost {
  readonly frontend: number;
  readonly workers: number;
}

async function costOf({ job, processes }: Variant): Promise<Cost> {
  const { cpu } = await measure(job, processes);
  const workers = Object.keys(processes).filter((name) => name !== 'frontend');
  return { frontend: cpu['frontend']!, workers: workers.reduce((sum, name) => sum + cpu[name]!, 0) };
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;
}

const { commit, cores, cpu, node } = await machine();
process.stdout.write(`commit ${commit}, ${cores} x ${cpu}, Node ${node}; Encrypt, ${values.connections} connections\n`);
const variants: Variant[] = [];
for (let replica = 0; replica < REPLICAS; replica++) {
  for (const [name, environment] of Object.entries(settings)) variants.push(await startVariant(name, environment));
}
await untilIdle(
  variants.flatMap(({ processes }) => Object.values(processes)),
  IDLE_BUDGET_MS,
);
for (const variant of variants) await costOf(variant);
// In turn, one at a time, again and again: whatever else the machine does falls on all of them alike.
const costs = new Map<string, Cost[]>(Object.keys(settings).map((name) => [name, []]));
for (let round = 0; round < Number(values.rounds); round++) {
  for (const { job, ...variant } of variants) {
    costs.get(variant.name)!.push(await costOf({ ...variant, job: { ...job, warmupMs: WARMUP_MS } }));
  }
  process.stderr.write(`round ${round + 1} of ${values.rounds}\r`);
}
const medians = [...costs].map(([name, all]) => {
  const [frontend, workers] = [median(all.map((one) => one.frontend)), median(all.map((one) => one.workers))];
  return { name, frontend, workers, request: frontend + workers };
});
const off = medians[0]!.request;
for (const { name, frontend, workers, request } of medians) {
  const more = `${request >= off ? '+' : ''}${((100 * request) / off - 100).toFixed(1)} %`;
  const parts = `frontend ${frontend.toFixed(0)} us + workers ${workers.toFixed(0)} us`;
  process.stdout.write(`${name.padEnd(32)} ${parts} = ${request.toFixed(0)} us a request (${more})\n`);
}
