// How long the event loops of the frontend and of one worker are held up: node bench/event-loop.ts [--connections 64] [--seconds 10]
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { kmsClient } from '../test/support/aws-client.ts';
import { startTestCluster } from '../test/support/cluster.ts';
import { type Inspected, inspect } from './inspected.ts';
import { measure } from './measure.ts';
import { pidsOf, untilIdle } from './process-cpu.ts';
import { machine } from './report.ts';
import { type Scenario, scenarios } from './scenarios.ts';

const region = 'us-east-1';
const WARMUP_MS = 3_000;
const IDLE_BUDGET_MS = 60_000;
const measured = ['encrypt', 'decrypt', 'generate-data-key', 'create-key', 'create-key-rsa-2048', 'describe-key'];

const { values } = parseArgs({
  options: { connections: { type: 'string', default: '64' }, seconds: { type: 'string', default: '10' } },
});

await using cluster = await startTestCluster({ workers: 2 });
const kms = kmsClient(cluster);
const target = { host: '127.0.0.1', port: cluster.ports.http, region, ...cluster.credentials };
const pids = pidsOf(cluster);

async function delaysUnder(scenario: Scenario, inspected: Inspected): Promise<string> {
  const bodies = await scenario.bodies(kms);
  await untilIdle(Object.values(pids), IDLE_BUDGET_MS);
  const measureMs = 1000 * Number(values.seconds);
  const timing = { connections: Number(values.connections), warmupMs: WARMUP_MS, measureMs };
  const load = measure({ target, operation: scenario.operation, bodies, ...timing }, {});
  await delay(WARMUP_MS);
  await inspected.evaluate('delays.reset()');
  await delay(measureMs);
  const [p99, p999, longest] = (await inspected.evaluate(
    '[delays.percentile(99), delays.percentile(99.9), delays.max].map((ns) => (ns / 1e6).toFixed(1))',
  )) as string[];
  const { requests: done, seconds } = await load;
  return `${(done / seconds).toFixed(0)}/s   p99 ${p99} ms   p99.9 ${p999} ms   longest ${longest} ms`;
}

const { commit, cores, cpu, node } = await machine();
process.stdout.write(`commit ${commit}, ${cores} x ${cpu}, Node ${node}; ${values.connections} connections\n`);
for (const name of ['frontend', 'hsm-worker-1']) {
  using inspected = await inspect(pids[name]!);
  const monitor = "process.getBuiltinModule('node:perf_hooks').monitorEventLoopDelay({ resolution: 1 })";
  await inspected.evaluate(`globalThis.delays = ${monitor}; delays.enable()`);
  for (const scenario of scenarios.filter((one) => measured.includes(one.name))) {
    const delays = await delaysUnder(scenario, inspected);
    process.stdout.write(`${name.padEnd(14)} ${scenario.name.padEnd(20)} ${delays}\n`);
  }
  await inspected.evaluate('delays.disable()');
}
kms.destroy();
