import { Client, credentials, Server, ServerCredentials } from '@grpc/grpc-js';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { addHealth, healthService } from './health.ts';

const { requestSerialize, responseDeserialize } = healthService['Watch']!;

/** Resolves with the first status, and cancels. */
async function watch(client: Client, service: string): Promise<unknown> {
  const path = '/grpc.health.v1.Health/Watch';
  const call = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, { service });
  call.on('error', () => {});
  const first = await new Promise((told) => call.once('data', told));
  call.cancel();
  return (first as { status: unknown }).status;
}

test('nothing is kept of a name that nobody serves and somebody watches', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const server = new Server();
  using _ = addHealth(server, { '': () => true });
  const port = await new Promise<number>((bound, failed) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, on) =>
      error ? failed(error) : bound(on),
    ),
  );
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  expect(await watch(client, '')).toBe('SERVING');
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < 20; i++) expect(await watch(client, `${i}`.padStart(1_000_000, 'n'))).toBe('SERVICE_UNKNOWN');
  collect();
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(10_000_000);
  client.close();
  server.forceShutdown();
});
