import { randomInt } from 'node:crypto';
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

/** A cluster's usual ports, on 127.0.0.1 only. */
export const defaultPorts = { http: 8900, grpc: 8901, workers: 8911, domainManager: 8921, redis: 8930, nats: 8940 };

export interface PortWish {
  /** 0: any free one. */
  readonly http: number;
  readonly grpc: number;
  readonly workers: number;
  readonly domainManagers: number;
}

/** A port, and the option that chooses another; without one the next start does. */
interface WantedPort {
  readonly port: number;
  readonly option?: string;
}

/** Those that people know a cluster by. */
export function publicPorts({ http, grpc }: Pick<PortWish, 'http' | 'grpc'>): readonly [WantedPort, WantedPort] {
  return [
    { port: http, option: '--http-port' },
    { port: grpc, option: '--grpc-port' },
  ];
}

/**
 * The public ports must be those asked for; an internal one may be any, as only this cluster knows it. Throws
 * StartError.
 */
export async function choosePorts(wish: PortWish): Promise<Ports> {
  await assertFree(publicPorts(wish));
  // Hold all until all are chosen, so that none is chosen twice.
  const held: Server[] = [];
  const hold = async (port: number) => {
    const server = await listen(port);
    if (server) held.push(server);
    return server && (server.address() as AddressInfo).port;
  };
  const block = wish.http === 0 ? await reserveBlock() : undefined;
  const any = async () => (block === undefined ? await hold(0) : await firstFree(block, hold)) ?? 0;
  const internal = async (preferred: number) => (block === undefined ? await hold(preferred) : undefined) ?? any();
  const open = async (wanted: WantedPort) => {
    const chosen = wanted.port === 0 ? await any() : await hold(wanted.port);
    if (chosen === undefined) throw taken([wanted]);
    return chosen;
  };
  try {
    const [wantedHttp, wantedGrpc] = publicPorts(wish);
    const http = await open(wantedHttp);
    const grpc = await open(wantedGrpc);
    const workers: number[] = [];
    for (let index = 0; index < wish.workers; index++) workers.push(await internal(defaultPorts.workers + index));
    const otherDomainManagers: number[] = [];
    for (let index = 1; index < wish.domainManagers; index++) otherDomainManagers.push(await any());
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

/** Below the ports that the system gives to outgoing connections, which could take one between choice and use. */
const blocks = { first: 10_000, count: 220, size: 100 };

/** Throws one StartError for all that are taken. 0: any free one. */
export async function assertFree(wanted: readonly WantedPort[]): Promise<void> {
  const busy: WantedPort[] = [];
  for (const one of wanted) {
    if (one.port === 0) continue;
    const server = await listen(one.port);
    if (server === undefined) busy.push(one);
    else await once(server.close(), 'close');
  }
  if (busy.length > 0) throw taken(busy);
}

/**
 * Many clusters start at once in a test run. Each has a block of ports to itself: this process listens on the first of
 * them, for nothing else, as long as it lives.
 */
async function reserveBlock(): Promise<number> {
  for (;;) {
    const block = blocks.first + blocks.size * randomInt(blocks.count);
    const guard = await listen(block);
    if (guard === undefined) continue;
    guard.unref();
    return block;
  }
}

let own = { next: 0, end: 0 };

/**
 * A free port of blocks that this process has to itself. None is given twice: a server that was killed finds its own
 * free.
 */
export async function newPort(): Promise<number> {
  for (;;) {
    if (own.next === own.end) {
      const block = await reserveBlock();
      own = { next: block + 1, end: block + blocks.size };
    }
    const server = await listen(own.next++);
    if (server === undefined) continue;
    const { port } = server.address() as AddressInfo;
    await once(server.close(), 'close');
    return port;
  }
}

async function firstFree(block: number, hold: (port: number) => Promise<number | undefined>): Promise<number> {
  for (let port = block + 1; port < block + blocks.size; port++) {
    const held = await hold(port);
    if (held !== undefined) return held;
  }
  throw new StartError(`no port is free between ${block} and ${block + blocks.size}.`);
}

function taken(busy: readonly WantedPort[]): StartError {
  const ports = busy.map(({ port }) => port).join(' and ');
  const options = busy.flatMap(({ option }) => (option === undefined ? [] : [`${option} N`])).join(' ');
  const [are, another] = busy.length === 1 ? [`port ${ports} is`, 'another'] : [`ports ${ports} are`, 'others'];
  const todo =
    options === '' ? `Start again: that chooses ${another}` : `Stop it, or choose ${another} with ${options}`;
  return new StartError(`${are} taken by another program. ${todo}.`);
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
