import { KMSClient, ListKeysCommand } from '@aws-sdk/client-kms';
import { createKmsClient } from '@keyfleet/client';
import { alice, startEdge } from '@keyfleet/test-support/edge-fixture';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { pipeline } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';

// A client that keeps its connections connects anew from time to time: frontends that are added get their share.

const credentials = { accessKeyId: alice.accessKeyId, secretAccessKey: alice.secretAccessKey };
const AGE_MS = 200;
const CALLERS = 8;
const LOAD_MS = 20 * AGE_MS;

/** Counts the connections to a port. */
async function counted(port: number) {
  let connections = 0;
  const server = createServer((near) => {
    connections++;
    const far = connect(port, '127.0.0.1');
    pipeline(near, far, () => {});
    pipeline(far, near, () => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    get connections() {
      return connections;
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** A frontend that takes some milliseconds for each call. */
const startOldEdge = (maxConnectionAgeMs: number) =>
  startEdge({
    maxConnectionAgeMs,
    invoke: async () => {
      await delay(5);
      return { Keys: [], Truncated: false };
    },
  });

/** Calls without a pause; none may fail. */
async function callAll(call: () => Promise<unknown>): Promise<number> {
  const end = performance.now() + LOAD_MS;
  let calls = 0;
  const caller = async () => {
    for (; performance.now() < end; calls++) await call();
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
  return calls;
}

/** What a client of either kind did for `LOAD_MS`. */
async function overHttp(maxConnectionAgeMs: number) {
  await using edge = await startOldEdge(maxConnectionAgeMs);
  await using way = await counted(edge.port);
  const kms = new KMSClient({ endpoint: `http://${way.address}`, region: 'us-east-1', credentials, maxAttempts: 1 });
  const calls = await callAll(() => kms.send(new ListKeysCommand({})));
  kms.destroy();
  return { calls, connections: way.connections };
}

async function overGrpc(maxConnectionAgeMs: number) {
  await using edge = await startOldEdge(maxConnectionAgeMs);
  await using way = await counted(Number(edge.grpcAddress.split(':')[1]));
  using kms = createKmsClient({ address: way.address, region: 'us-east-1', credentials });
  const calls = await callAll(() => kms.ListKeys({}));
  return { calls, connections: way.connections };
}

test.each([
  ['over HTTP, with the AWS SDK and no retries', overHttp, CALLERS],
  ['over gRPC', overGrpc, 1],
] as const)('%s, connections are made anew when they are old, and no call fails', async (_, load, atOnce) => {
  const { calls, connections } = await load(AGE_MS);
  expect(calls).toBeGreaterThan(CALLERS * 10);
  // As many as fit in, less one that a busy machine loses now and then.
  expect(connections).toBeGreaterThan(5 * atOnce);
  const kept = await load(60_000);
  expect(kept.connections).toBe(atOnce);
});
