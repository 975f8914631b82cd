// What the seams of one Encrypt cost when telemetry is on: node bench/micro/telemetry.ts. CPU time of the whole
// process, exporters included, with everything in the CPU's caches; bench/telemetry.ts has the whole system.
import { createLog } from '@keyfleet/shared/log';
import { startOtlpSink } from '../otlp-sink.ts';

const REQUESTS = 100_000;
const BATCHES = 5;

using sink = await startOtlpSink();
// Before the modules that decide by it are loaded.
// oxlint-disable-next-line node/no-process-env
process.env['OTEL_EXPORTER_OTLP_ENDPOINT'] = sink.endpoint;
const { startTelemetry } = await import('@keyfleet/shared/telemetry/export');
await using _telemetry = startTelemetry('bench', createLog({ name: 'bench', level: 'warn' }));
const { operationMeter } = await import('@keyfleet/shared/telemetry/meters');
const { activeTrace, inRequestSpan, inSpan, recordSpan } = await import('@keyfleet/shared/telemetry/tracing');

const requests = operationMeter('keyfleet.requests');
const commands = operationMeter('keyfleet.hsm.commands');
const workerCommands = operationMeter('keyfleet.worker.commands');

async function command(): Promise<void> {
  const trace = activeTrace();
  const startedAt = performance.now();
  workerCommands.record('Encrypt', 'ok', startedAt);
  if (trace) recordSpan('worker command', trace, { 'keyfleet.command': 'Encrypt' }, startedAt);
  commands.record('Encrypt', 'ok', startedAt);
}

async function request(): Promise<void> {
  const startedAt = performance.now();
  await inRequestSpan('Encrypt', { 'keyfleet.request_id': 'bench' }, () =>
    inSpan('invoke', { 'keyfleet.operation': 'Encrypt' }, () =>
      inSpan('hsm command', { 'keyfleet.command': 'Encrypt' }, command),
    ),
  );
  requests.record('Encrypt', 'ok', startedAt);
}

let best = Number.POSITIVE_INFINITY;
for (let batch = 0; batch < BATCHES; batch++) {
  const before = process.cpuUsage();
  for (let i = 0; i < REQUESTS; i++) await request();
  const { user, system } = process.cpuUsage(before);
  best = Math.min(best, (user + system) / REQUESTS);
}
process.stdout.write(`the seams of one Encrypt, frontend and hsm-worker together: ${best.toFixed(1)} us\n`);
