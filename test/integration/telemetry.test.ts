import { CreateKeyCommand, DecryptCommand, EncryptCommand } from '@aws-sdk/client-kms';
import { kmsClient } from '@keyfleet/test-support/aws-client';
import { startTestCluster } from '@keyfleet/test-support/cluster';
import { OtlpCollector, type ReceivedSpan } from '@keyfleet/test-support/otlp-collector';
import { createLog } from '@keyfleet/shared/log';
import { afterEach, expect, test, vi } from 'vitest';
import { newPort } from '../../tools/ports.ts';

afterEach(() => {
  vi.unstubAllEnvs();
  vi.resetModules();
});

const encrypts = 20;

/** What a cluster exports while one key encrypts `encrypts` times and a decryption fails. */
async function exported(settings: Readonly<Record<string, string>>) {
  await using collector = new OtlpCollector();
  vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', await collector.listen());
  vi.stubEnv('OTEL_EXPORTER_OTLP_PROTOCOL', 'http/json');
  for (const [name, value] of Object.entries(settings)) vi.stubEnv(name, value);
  const requestIds: (string | undefined)[] = [];
  let secret: string;
  {
    await using cluster = await startTestCluster({ workers: 2 });
    secret = cluster.credentials.secretAccessKey;
    const kms = kmsClient(cluster);
    const { KeyMetadata } = await kms.send(new CreateKeyCommand({}));
    for (let i = 0; i < encrypts; i++) {
      const input = { KeyId: KeyMetadata?.KeyId, Plaintext: Buffer.from('correct horse battery staple') };
      const { CiphertextBlob, $metadata } = await kms.send(new EncryptCommand(input));
      requestIds.push($metadata.requestId);
      if (i > 0) continue;
      const wrong = { CiphertextBlob, EncryptionContext: { purpose: 'another' } };
      await expect(kms.send(new DecryptCommand(wrong))).rejects.toThrow();
    }
    // Leaving the block stops the services, which export what they still hold.
  }
  return { collector, requestIds, secret };
}

function childrenOf(spans: readonly ReceivedSpan[], parent: ReceivedSpan | undefined): ReceivedSpan[] {
  return spans.filter(({ parentSpanId }) => parentSpanId !== undefined && parentSpanId === parent?.spanId);
}

test('a trace follows a request from the edge into the worker, and nothing secret is in it', async () => {
  const { collector, requestIds, secret } = await exported({ OTEL_TRACES_SAMPLER: 'always_on' });
  const { spans } = collector;
  for (const requestId of requestIds) {
    const edge = spans.find(({ attributes }) => attributes['keyfleet.request_id'] === requestId);
    expect(edge).toMatchObject({ service: 'keyfleet-frontend', name: 'Encrypt' });
    const [invoke] = childrenOf(spans, edge).filter(({ name }) => name === 'invoke');
    const [command] = childrenOf(spans, invoke).filter(({ name }) => name === 'hsm command');
    expect(command?.attributes).toEqual({ 'keyfleet.command': 'Encrypt' });
    expect(childrenOf(spans, command)).toMatchObject([
      {
        service: 'keyfleet-hsm-worker',
        name: 'worker command',
        traceId: edge?.traceId,
        attributes: { 'keyfleet.command': 'Encrypt', 'keyfleet.outcome': 'ok' },
      },
    ]);
  }
  const refused = spans.find(({ attributes }) => attributes['keyfleet.outcome'] === 'cannot-open');
  expect(refused?.attributes).toEqual({ 'keyfleet.command': 'Decrypt', 'keyfleet.outcome': 'cannot-open' });

  for (const word of [
    'correct horse',
    Buffer.from('correct horse').toString('base64').slice(0, 16),
    'another',
    secret,
  ]) {
    expect(collector.received).not.toContain(word);
  }
});

test('metrics count every request while, by default, one trace begins a second', async () => {
  const { collector } = await exported({});
  const counted = [...collector.points.values()].filter(({ attributes }) => attributes['operation'] === 'Encrypt');
  for (const [service, metric] of [
    ['keyfleet-frontend', 'keyfleet.requests'],
    ['keyfleet-frontend', 'keyfleet.hsm.commands'],
  ]) {
    for (const name of [metric, `${metric}.duration.milliseconds`]) {
      const points = counted.filter((point) => point.service === service && point.metric === name);
      expect(points).toMatchObject([{ attributes: { operation: 'Encrypt', outcome: 'ok' }, count: encrypts }]);
    }
  }
  expect([...collector.points.values()]).toContainEqual({
    service: 'keyfleet-frontend',
    metric: 'keyfleet.requests',
    attributes: { operation: 'Decrypt', outcome: 'InvalidCiphertextException' },
    count: 1,
  });
  // Two workers report as one service, so the newest point of a series is one worker's: that it is counted is all there
  // is to see.
  expect(counted.some(({ metric }) => metric === 'keyfleet.worker.commands')).toBe(true);
  for (const gauge of ['redis.up', 'redis.persists', 'nats.up', 'domain.workers', 'domain.members.reachable'])
    expect(collector.received, gauge).toContain(`"keyfleet.${gauge}"`);
  const begun = collector.spans
    .filter(({ parentSpanId }) => parentSpanId === undefined)
    .map(({ startTimeUnixNano }) => Number(BigInt(startTimeUnixNano) / 1_000_000n))
    .toSorted((a, b) => a - b);
  expect(begun.length).toBeGreaterThan(0);
  // The SDK's clock and the one that spaces traces differ by a millisecond.
  for (const [i, time] of begun.slice(1).entries()) expect(time - begun[i]!).toBeGreaterThan(998);
});

test('a gauge says whether a frontend is ready, as /readyz does', async () => {
  await using collector = new OtlpCollector();
  vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', await collector.listen());
  vi.stubEnv('OTEL_EXPORTER_OTLP_PROTOCOL', 'http/json');
  vi.stubEnv('OTEL_METRIC_EXPORT_INTERVAL', '500');
  await using cluster = await startTestCluster({ workers: 1 });
  const says = async (ready: number) => {
    const seen = () => [...collector.points.values()].filter(({ metric }) => metric === 'keyfleet.ready');
    const point = { service: 'keyfleet-frontend', metric: 'keyfleet.ready', attributes: {}, count: ready };
    await vi.waitFor(() => expect(seen()).toEqual([point]), { timeout: 20_000, interval: 100 });
    // One that just started exports from another thread than the one that answers, and maybe before it.
    await expect.poll(async () => (await fetch(`${cluster.endpoint}/readyz`)).ok).toBe(ready === 1);
  };
  await says(1);
  await cluster.kill('hsm-worker-1');
  await says(0);
  await cluster.restart('hsm-worker-1');
  await says(1);
  // One that starts and waits says so too.
  await cluster.kill('frontend', 'redis');
  const restarted = cluster.restart('frontend');
  await says(0);
  await cluster.restart('redis');
  await restarted;
  await says(1);
});

test('Prometheus scrapes what was recorded, by the names of the alert rules and the dashboard', async () => {
  const port = await newPort();
  vi.stubEnv('OTEL_METRICS_EXPORTER', 'prometheus');
  vi.stubEnv('OTEL_TRACES_EXPORTER', 'none');
  vi.stubEnv('OTEL_EXPORTER_PROMETHEUS_PORT', `${port}`);
  vi.resetModules();
  const { startTelemetry } = await import('@keyfleet/shared/telemetry/export');
  const {
    observeGauge,
    observeGauges,
    operationMeter: newMeter,
    outcomeCounter,
  } = await import('@keyfleet/shared/telemetry/meters');
  newMeter('keyfleet.requests').record('Encrypt', 'ok', performance.now());
  outcomeCounter('keyfleet.hsm.confirmations', ['confirmed', 'contradicted'])('confirmed');
  observeGauge('keyfleet.domain.key.age', () => 7);
  observeGauge('keyfleet.redis.replicas', () => undefined);
  const ends = new Map([
    ['one.crt', 1],
    ['two.crt', 2],
  ]);
  observeGauges('keyfleet.certificate.expiry.timestamp.seconds', () =>
    [...ends].map(([file, endsAt]) => [{ file }, endsAt] as const),
  );
  await using _telemetry = startTelemetry('test', createLog({ name: 'test', level: 'info' }));
  const scrape = (found: (text: string) => void) =>
    vi.waitFor(
      async () => {
        const text = await (await fetch(`http://localhost:${port}/metrics`)).text();
        found(text);
        return text;
      },
      { timeout: 20_000, interval: 200 },
    );
  const scraped = await scrape((text) => expect(text).toContain('keyfleet_'));
  const names = new Set(scraped.match(/^keyfleet\w+/gm));
  expect([...names].toSorted()).toEqual([
    'keyfleet_certificate_expiry_timestamp_seconds',
    'keyfleet_domain_key_age',
    'keyfleet_hsm_confirmations_total',
    'keyfleet_requests_duration_milliseconds_bucket',
    'keyfleet_requests_duration_milliseconds_count',
    'keyfleet_requests_duration_milliseconds_sum',
    'keyfleet_requests_total',
  ]);
  // What did not happen yet is there, else Prometheus saw no increase when it does.
  expect(scraped).toMatch(/^keyfleet_hsm_confirmations_total\{outcome="contradicted".*\} 0$/m);
  // Of each file its own; a file that is used no more is not warned of.
  expect(scraped).toMatch(/^keyfleet_certificate_expiry_timestamp_seconds\{file="one.crt".*\} 1$/m);
  expect(scraped).toMatch(/^keyfleet_certificate_expiry_timestamp_seconds\{file="two.crt".*\} 2$/m);
  ends.delete('one.crt');
  const without = await scrape((text) => expect(text).toMatch(/\{file="one.crt".*\} NaN$/m));
  expect(without).toMatch(/^keyfleet_certificate_expiry_timestamp_seconds\{file="two.crt".*\} 2$/m);
}, 30_000);
