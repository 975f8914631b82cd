import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { pipeline } from 'node:stream';

/**
 * A port of this machine's that leads to a port inside, as `kubectl port-forward` has it. Disposing of it ends what is
 * connected.
 */
export async function portForward(host: string, port: number): Promise<AsyncDisposable & { readonly port: number }> {
  const open = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(port, host);
    open.add(near);
    near.once('close', () => open.delete(near));
    // Either end that fails or goes takes the other with it: what they tell each other is for them.
    pipeline(near, far, () => {});
    pipeline(far, near, () => {});
  });
  server.listen(0, 'localhost');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const near of open) near.destroy();
      await server[Symbol.asyncDispose]();
    },
  };
}
