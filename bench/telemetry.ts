// What OpenTelemetry costs when it is on: node bench/telemetry.ts [--rounds 9] [--connections 64]
import { KMSClient } from '@aws-sdk/client-kms';
import { once } from 'node:events';
import { mkdtempDisposable } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { readCredentials } from '../tools/aws-files.ts';
import { startCluster } from '../tools/cluster.ts';
import { alternate, type Variant } from './alternate.ts';
import { untilIdle } from './process-cpu.ts';
import { machine } from './report.ts';
import { scenarios } from './scenarios.ts';

const region = 'us-east-1';
const TIMING = { warmupMs: 500, measureMs: 2_000 };
const IDLE_BUDGET_MS = 60_000;

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '9' }, connections: { type: 'string', default: '64' } },
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
const encrypt = scenarios.find(({ name }) => name === 'encrypt')!;

async function startVariant(name: string, environment: Readonly<Record<string, string>>): Promise<Variant> {
  const home = resources.use(await mkdtempDisposable(join(tmpdir(), 'keyfleet-bench-')));
  // oxlint-disable-next-line node/no-process-env -- the SDK's settings, which the cluster passes on to its services
  const env = process.env;
  Object.assign(env, environment);
  const options = { home: home.path, httpPort: 0, grpcPort: 0, workers: 2, supervise: false, report: () => undefined };
  const cluster = resources.use(await startCluster(options));
  for (const setting of Object.keys(environment)) delete env[setting];
  const credentials = readCredentials(cluster.home);
  const bodies = await encrypt.bodies(new KMSClient({ endpoint: cluster.endpoint, region, credentials }));
  const target = { host: '127.0.0.1', port: cluster.ports.http, region, ...credentials };
  const job = { target, operation: encrypt.operation, bodies, connections: Number(values.connections), ...TIMING };
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
const least = await alternate(variants, Number(values.rounds));
const reference = least['off']!;
for (const [name, used] of Object.entries(least)) {
  const parts = Object.entries(used).map(([process, microseconds]) => {
    const more = (100 * microseconds) / reference[process]! - 100;
    return `${process} ${microseconds.toFixed(0)} us (${more >= 0 ? '+' : ''}${more.toFixed(1)} %)`;
  });
  process.stdout.write(`${name.padEnd(32)} ${parts.join(', ')}\n`);
}
collector.closeAllConnections();
collector.close();
