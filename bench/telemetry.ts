// What OpenTelemetry costs when it is on: node bench/telemetry.ts [--connections 16] [--seconds 20]
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseArgs } from 'node:util';
import { kmsClient } from '../test/support/aws-client.ts';
import { startTestCluster } from '../test/support/cluster.ts';
import type { LoadJob } from './load.ts';
import { measure } from './measure.ts';
import { untilIdle } from './process-cpu.ts';
import { machine } from './report.ts';
import { scenarios } from './scenarios.ts';

const region = 'us-east-1';
const WARMUP_MS = 5_000;
const IDLE_BUDGET_MS = 60_000;

const { values } = parseArgs({
  options: { connections: { type: 'string', default: '16' }, seconds: { type: 'string', default: '20' } },
});

/** Takes whatever is exported and says yes. */
const collector = createServer((request, response) => {
  request.resume().on('end', () => response.setHeader('content-type', 'application/x-protobuf').end());
});
collector.listen(0, '127.0.0.1');
await once(collector, 'listening');
const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${(collector.address() as AddressInfo).port}` };

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
  const timing = { warmupMs: WARMUP_MS, measureMs: 1000 * Number(values.seconds) };
  const job = { target, operation: encrypt.operation, bodies, connections: Number(values.connections), ...timing };
  const names = ['frontend', ...cluster.home.workerNames];
  return { name, job, processes: Object.fromEntries(names.map((one) => [one, cluster.pid(one) ?? 0])) };
}

const { commit, cores, cpu, node } = await machine();
process.stdout.write(`commit ${commit}, ${cores} x ${cpu}, Node ${node}; Encrypt, ${values.connections} connections\n`);
const variants: Variant[] = [];
for (const [name, environment] of Object.entries(settings)) variants.push(await startVariant(name, environment));
await untilIdle(
  variants.flatMap(({ processes }) => Object.values(processes)),
  IDLE_BUDGET_MS,
);
// All at once: whatever else the machine does then falls on all of them alike.
const used = await Promise.all(variants.map(({ job, processes }) => measure(job, processes)));
const reference = used[0]!.cpu;
for (const [index, { name }] of variants.entries()) {
  const parts = Object.entries(used[index]!.cpu).map(([process, microseconds]) => {
    const more = (100 * microseconds) / reference[process]! - 100;
    return `${process} ${microseconds.toFixed(0)} us (${more >= 0 ? '+' : ''}${more.toFixed(1)} %)`;
  });
  process.stdout.write(`${name.padEnd(32)} ${parts.join(', ')}\n`);
}
collector.closeAllConnections();
collector.close();
