import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { StartError } from './start-error.ts';

export interface Ports {
  readonly http: number;
  readonly grpc: number;
  readonly redis: number;
  readonly nats: number;
  readonly domainManager: number;
  /** Of further replicas of the domain-manager. */
  readonly otherDomainManagers: readonly number[];
  readonly workers: readonly number[];
}

/** Where a cluster listens unless told otherwise: on 127.0.0.1 only. */
export const defaultPorts = { http: 8900, grpc: 8901, workers: 8911, domainManager: 8921, redis: 8930, nats: 8940 };

export interface PortWish {
  /** 0: any free one. */
  readonly http: number;
  readonly grpc: number;
  readonly workers: number;
  readonly domainManagers: number;
}

/** The public ports must be those asked for; an internal one may be any, as only this cluster knows it. Throws StartError. */
export async function choosePorts(wish: PortWish): Promise<Ports> {
  // All are held until all are chosen, so that none is chosen twice.
  const held: Server[] = [];
  const hold = async (port: number) => {
    const server = await listen(port);
    if (server) held.push(server);
    return server && (server.address() as AddressInfo).port;
  };
  const internal = async (preferred: number) => (await hold(preferred)) ?? (await hold(0)) ?? 0;
  try {
    const http = await hold(wish.http);
    if (http === undefined) throw taken(wish.http, '--http-port');
    const grpc = await hold(wish.grpc);
    if (grpc === undefined) throw taken(wish.grpc, '--grpc-port');
    const workers: number[] = [];
    for (let index = 0; index < wish.workers; index++) workers.push(await internal(defaultPorts.workers + index));
    const otherDomainManagers: number[] = [];
    for (let index = 1; index < wish.domainManagers; index++) otherDomainManagers.push(await internal(0));
    return {
      http,
      grpc,
      workers,
      redis: await internal(defaultPorts.redis),
      nats: await internal(defaultPorts.nats),
      domainManager: await internal(defaultPorts.domainManager),
      otherDomainManagers,
    };
  } finally {
    await Promise.all(held.map((server) => once(server.close(), 'close')));
  }
}

function taken(port: number, option: string): StartError {
  return new StartError(`port ${port} is taken by another program. Stop it, or choose another with ${option} N.`);
}

/** Undefined when the port is taken. */
async function listen(port: number): Promise<Server | undefined> {
  const server = createServer();
  try {
    await once(server.listen(port, '127.0.0.1'), 'listening');
    return server;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return undefined;
    throw new StartError(`port ${port} cannot be used (${(error as Error).message}).`, { cause: error });
  }
}
