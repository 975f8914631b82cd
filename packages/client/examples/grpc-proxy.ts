/**
 * Signs the gRPC calls of programs that cannot sign, such as grpcurl. Anyone who can open the socket acts with the
 * credentials, so it is a file that its owner alone may open, never a port:
 *
 *     npm run grpc-proxy -- [--home .keyfleet] [--address 127.0.0.1:8901] [--socket .keyfleet/grpc.sock]
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startSigningProxy } from '@keyfleet/client/signing-proxy';
import { homeCredentials } from './home-credentials.ts';

const { values } = parseArgs({
  options: {
    home: { type: 'string', default: '.keyfleet' },
    address: { type: 'string', default: '127.0.0.1:8901' },
    region: { type: 'string', default: 'us-east-1' },
    socket: { type: 'string' },
  },
});
const { home, address, region, socket = join(home, 'grpc.sock') } = values;

const proxy = await startSigningProxy({
  socket,
  address,
  region,
  credentials: () => Promise.resolve(homeCredentials(home)),
});
console.log(`Signing for ${address} at ${socket}; Ctrl-C stops.`);
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void proxy[Symbol.asyncDispose]());
