// What OpenTelemetry costs a request of the whole system: node bench/telemetry.ts [--rounds 16] [--connections 8]
// [--seconds 25]. With the OTEL_* settings of the environment, e.g. OTEL_TRACES_SAMPLER=always_on; what is exported
// goes to a sink.
import { startTestCluster, type TestCluster } from '@keyfleet/test-support/cluster';
import { parseArgs } from 'node:util';
import { loadCluster } from './measure/cluster-load.ts';
import { machine } from './observe/machine.ts';
import { pidsOf, untilIdle } from './observe/process-cpu.ts';
import { startOtlpSink } from './otlp-sink.ts';

/** Until the code that matters is compiled, and spans and metrics have been exported. */
const WARMUP_MS = 20_000;
const IDLE_BUDGET_MS = 60_000;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '16' },
    connections: { type: 'string', default: '8' },
    seconds: { type: 'string', default: '25' },
  },
});

// oxlint-disable-next-line node/no-process-env -- the SDK's settings, which a cluster passes on to its services
const environment = process.env;
using sink = await startOtlpSink();
environment['OTEL_EXPORTER_OTLP_ENDPOINT'] = sink.endpoint;

/** Microseconds of CPU per request. */
interface Cost {
  readonly frontend: number;
  readonly workers: number;
  readonly request: number;
}
type Setting = 'off' | 'on';

/** Fresh clusters, loaded at the same time: whatever else the machine does falls on both alike. */
async function runRound(order: readonly Setting[]): Promise<Record<Setting, Cost>> {
  await using resources = new AsyncDisposableStack();
  const clusters: { setting: Setting; cluster: TestCluster; processes: readonly string[] }[] = [];
  for (const setting of order) {
    environment['OTEL_SDK_DISABLED'] = String(setting === 'off');
    const cluster = resources.use(await startTestCluster({ workers: 2, rsaKeyPool: {} }));
    clusters.push({ setting, cluster, processes: Object.keys(pidsOf(cluster)) });
  }
  const pids = clusters.flatMap(({ cluster }) => Object.values(pidsOf(cluster)));
  await untilIdle(pids, IDLE_BUDGET_MS);
  const load = { scenario: 'encrypt', connections: Number(values.connections), warmupMs: WARMUP_MS };
  const costs = clusters.map(async ({ setting, cluster, processes }) => {
    const { cpu } = await loadCluster(cluster, { ...load, measureMs: 1000 * Number(values.seconds) });
    const request = processes.reduce((sum, name) => sum + cpu[name]!, 0);
    const frontend = cpu['frontend']!;
    return [setting, { frontend, workers: request - frontend, request }] as const;
  });
  return Object.fromEntries(await Promise.all(costs)) as Record<Setting, Cost>;
}

/**
 * Two processes of one program differ by several percent in what they compile and when: only many pairs say something.
 */
function difference(rounds: readonly Record<Setting, Cost>[], part: keyof Cost): string {
  const logs = rounds.map(({ off, on }) => Math.log(on[part] / off[part]));
  const mean = logs.reduce((sum, log) => sum + log, 0) / logs.length;
  const variance = logs.reduce((sum, log) => sum + (log - mean) ** 2, 0) / (logs.length - 1);
  const percent = 100 * Math.expm1(mean);
  return `${part} ${percent >= 0 ? '+' : ''}${percent.toFixed(1)} % ± ${(100 * Math.sqrt(variance / logs.length)).toFixed(1)}`;
}

const { commit, cores, cpu, node } = await machine();
process.stdout.write(`commit ${commit}, ${cores} x ${cpu}, Node ${node}; Encrypt, ${values.connections} connections\n`);
const rounds: Record<Setting, Cost>[] = [];
for (let round = 0; round < Number(values.rounds); round++) {
  const costs = await runRound(round % 2 === 0 ? ['off', 'on'] : ['on', 'off']);
  rounds.push(costs);
  const request = ({ frontend, workers }: Cost) => `frontend ${frontend.toFixed(0)} + workers ${workers.toFixed(0)} us`;
  process.stdout.write(`round ${round + 1}: off ${request(costs.off)}, on ${request(costs.on)}\n`);
}
const differences = (['frontend', 'workers', 'request'] as const).map((part) => difference(rounds, part));
process.stdout.write(`telemetry on, mean and standard error of ${rounds.length} pairs: ${differences.join(', ')}\n`);
