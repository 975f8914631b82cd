import { parseArgs } from 'node:util';
import { kmsClient } from '../test/support/aws-client.ts';
import { startTestCluster } from '../test/support/cluster.ts';
import { measure, type Measurement } from './measure.ts';
import { measurePrototype } from './prototype-process.ts';
import { pidsOf, untilIdle } from './process-cpu.ts';
import { machine, Report } from './report.ts';
import { type Scenario, scenarios } from './scenarios.ts';

const MAX_CONNECTIONS = 1024;
const MAX_SECONDS = 300;
const WARMUP_MS = 1500;
const IDLE_BUDGET_MS = 60_000;
const region = 'us-east-1';

const names = scenarios.map(({ name }) => name);
const { values } = parseArgs({
  options: {
    scenario: { type: 'string', default: 'encrypt,decrypt,generate-data-key,create-key,create-key-rsa-2048' },
    connections: { type: 'string', default: '1,16,64' },
    seconds: { type: 'string', default: '5' },
    workers: { type: 'string', default: '2' },
    prototype: { type: 'boolean', default: false },
  },
});

function numbers(text: string, max: number): number[] {
  const found = text.split(',').map(Number);
  if (found.every((number) => number >= 1 && number <= max)) return found;
  throw new RangeError(`'${text}': numbers from 1 to ${max} are wanted.`);
}

function chosenScenarios(): Scenario[] {
  return values.scenario.split(',').map((name) => {
    const found = scenarios.find((scenario) => scenario.name === name);
    if (found) return found;
    throw new RangeError(`no scenario '${name}'. There are ${names.join(', ')}.`);
  });
}

async function run(): Promise<void> {
  const chosen = chosenScenarios();
  const connections = numbers(values.connections, MAX_CONNECTIONS);
  const [seconds = 5] = numbers(values.seconds, MAX_SECONDS);
  const timing = { warmupMs: WARMUP_MS, measureMs: seconds * 1000 };
  const report = new Report(await machine());

  await using cluster = await startTestCluster({ workers: Number(values.workers) });
  const kms = kmsClient(cluster);
  const target = { host: '127.0.0.1', port: cluster.ports.http, region, ...cluster.credentials };
  for (const scenario of chosen) {
    const bodies = await scenario.bodies(kms);
    for (const count of connections) {
      await untilIdle(Object.values(pidsOf(cluster, 'redis')), IDLE_BUDGET_MS);
      const job = { target, operation: scenario.operation, bodies, connections: count, ...timing };
      const measured = await measure(job, pidsOf(cluster, 'redis'));
      // Alternated with the product, so that both see the same machine.
      const floor: Measurement | undefined =
        values.prototype && scenario.name === 'encrypt'
          ? await measurePrototype({ connections: count, ...timing })
          : undefined;
      report.add(scenario.name, count, measured, floor);
    }
  }
  kms.destroy();
  report.write();
}

try {
  await run();
} catch (error) {
  process.stderr.write(`bench: ${error instanceof RangeError ? error.message : String((error as Error).stack)}\n`);
  process.exitCode = 1;
}
