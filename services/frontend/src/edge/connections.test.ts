import { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { Connections } from './connections.ts';
import { TrustedProxies } from './trusted-proxies.ts';

const limits = { connections: 10, strangers: 5, inFlight: 5, strangerUploads: 1, heedMs: 500 };

test('a connection from the port of one that was reset is still known when the other has closed', () => {
  const connections = new Connections(limits, new TrustedProxies([]));
  const [reset, next] = [socketFrom('192.0.2.1', 40_000), socketFrom('192.0.2.1', 40_000)];
  for (const socket of [reset, next]) connections.admit(socket, () => undefined);
  reset.emit('close');
  expect(connections.of(next)?.socket).toBe(next);
  next.emit('close');
  expect(connections.of(next)).toBeUndefined();
});

function socketFrom(remoteAddress: string, remotePort: number): Socket {
  return Object.defineProperties(new Socket(), {
    remoteAddress: { value: remoteAddress },
    remotePort: { value: remotePort },
  });
}
