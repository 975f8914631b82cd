import { credentials, Server, ServerCredentials, status } from '@grpc/grpc-js';
import { Names } from '@keyfleet/test-support/names';
import { expect, test, vi } from 'vitest';
import { newWorkerClient } from './worker-client.ts';

// By itself grpc-js asks the DNS of this machine.
vi.hoisted(() => vi.stubEnv('GRPC_NODE_USE_ALTERNATIVE_RESOLVER', 'true'));

const NAME = 'hsm-worker-0.hsm-worker.keyfleet';
/** Less than the half minute for which grpc-js by itself does not ask for an address again. */
const FOUND_MS = 15_000;

test('a worker that comes back at another address is found within seconds', async () => {
  await using names = await Names.listen('127.0.0.1', 0);
  const first = await listen('127.0.0.2:0');
  names.addresses.set(NAME, '127.0.0.2');
  const target = `dns://127.0.0.1:${names.port}/${NAME}.svc.cluster.local:${first.port}`;
  const client = newWorkerClient(target, credentials.createInsecure());
  // It has no service: that it says so shows that it was reached.
  const answer = () => client.negotiate(Buffer.alloc(1)).catch(({ code }: { readonly code: status }) => code);
  expect(await answer()).toBe(status.UNIMPLEMENTED);

  first.server.forceShutdown();
  await expect.poll(answer).not.toBe(status.UNIMPLEMENTED);
  const second = await listen(`127.0.0.3:${first.port}`);
  names.addresses.set(NAME, '127.0.0.3');
  await expect.poll(answer, { timeout: FOUND_MS }).toBe(status.UNIMPLEMENTED);
  client.close();
  second.server.forceShutdown();
});

function listen(address: string): Promise<{ readonly server: Server; readonly port: number }> {
  const server = new Server();
  return new Promise((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, port) =>
      error === null ? resolve({ server, port }) : reject(error),
    );
  });
}
