import { Client, credentials, Metadata, status, type ServiceError } from '@grpc/grpc-js';
import type { ExecuteCall } from '@keyfleet/hsm-worker/host-streams';
import { DomainManager, Hsm } from '@keyfleet/proto';
import { ofFewFields } from '@keyfleet/proto/fields';
import { unary } from '@keyfleet/proto/unary';
import { monotonicClock } from '@keyfleet/shared/clock';
import { healthService } from '@keyfleet/shared/grpc/health';
import { answering, type GrpcServer, startGrpcServer } from '@keyfleet/shared/grpc/server';
import { PeerLimit } from '@keyfleet/shared/request-limit';
import { once } from 'node:events';
import { connect, constants } from 'node:http2';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { newPort } from '../../tools/ports.ts';

const { Propose, FetchTokens } = DomainManager.service;

async function startPort({
  isServing = () => true,
  burst = 100,
  tokens = [],
  held = Promise.resolve(),
  maxBytes = 1024,
}: { maxBytes?: number; isServing?: () => boolean; burst?: number; tokens?: Buffer[]; held?: Promise<void> } = {}) {
  const rate = new PeerLimit(monotonicClock, { perSecond: 1, burst });
  const limit = { maxBytes, rate };
  const handled: string[] = [];
  const answer = answering((error, path) => ({ code: status.ABORTED, details: `${path}: ${String(error)}` }));
  const method = (name: string) =>
    answer(async () => {
      handled.push(name);
      if (name === 'Approve') throw new Error('no');
      if (name === 'ListProposals') await held;
      return name === 'FetchTokens' ? { tokens } : {};
    });
  const names = Object.keys(DomainManager.service);
  const server = await startGrpcServer({
    address: { host: '127.0.0.1', port: 0 },
    tls: undefined,
    service: ofFewFields(DomainManager.service),
    handlers: Object.fromEntries(names.map((name) => [name, method(name)])),
    limits: {
      ...Object.fromEntries(names.map((name) => [name, limit])),
      ListProposals: { ...limit, answerBytes: 1024 * 1024 },
    } as never,
    isServing,
    drainMs: 100,
  });
  const address = `127.0.0.1:${server.port}`;
  const client = new Client(address, credentials.createInsecure());
  return {
    address,
    handled,
    client,
    async [Symbol.asyncDispose]() {
      client.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

async function codeOf(call: Promise<unknown>): Promise<status> {
  return call.then(
    () => status.OK,
    ({ code }: ServiceError) => code,
  );
}

test('a request within its limit is answered, a larger one is not read to its end', async () => {
  await using port = await startPort();
  expect(await codeOf(unary(port.client, Propose, { proposal: Buffer.alloc(900) }, 5_000))).toBe(status.OK);
  expect(await codeOf(unary(port.client, Propose, { proposal: Buffer.alloc(1100) }, 5_000))).toBe(
    status.RESOURCE_EXHAUSTED,
  );
  expect(port.handled).toEqual(['Propose']);
});

test('a request of hundreds of fields without bytes is refused before it is decoded', async () => {
  await using port = await startPort({ maxBytes: 100_000 });
  const request = Buffer.alloc(4_000, Buffer.of(0x0a, 0));
  const answered = new Promise((answer) =>
    port.client.makeUnaryRequest(
      Propose.path,
      () => request,
      () => ({}),
      {},
      (error) => answer(error?.code),
    ),
  );
  expect(await answered).toBe(status.INTERNAL);
  expect(port.handled).toEqual([]);
});

test('what a handler throws is answered as the service says', async () => {
  await using port = await startPort();
  const call = unary(port.client, DomainManager.service.Approve, {}, 5_000);
  await expect(call).rejects.toMatchObject({
    code: status.ABORTED,
    details: '/keyfleet.domain.v1.DomainManager/Approve: Error: no',
  });
});

test('a peer that calls too often is refused unread, others are not', async () => {
  await using port = await startPort({ burst: 3 });
  const calls = Array.from({ length: 5 }, () => codeOf(unary(port.client, FetchTokens, {}, 5_000)));
  expect((await Promise.all(calls)).toSorted((a, b) => a - b)).toEqual([0, 0, 0, 8, 8]);
  expect(port.handled).toHaveLength(3);
  using other = sessionFrom('127.0.0.9', port.address);
  expect(await other.call(FetchTokens.path, Buffer.alloc(5))).toBe('0');
});

test('a message that is compressed is refused, whatever it would become', async () => {
  await using port = await startPort();
  using stranger = sessionFrom('127.0.0.1', port.address);
  expect(await stranger.call(Propose.path, Buffer.from([1, 0, 0, 0, 1, 0]))).toBe('reset 11');
});

test('a request that does not come is given up', async () => {
  await using port = await startPort();
  using stranger = sessionFrom('127.0.0.1', port.address);
  const startedAt = performance.now();
  expect(await stranger.call(Propose.path, Buffer.from([0, 0, 0, 0, 9, 0]), { end: false })).toBe('reset 11');
  expect(performance.now() - startedAt).toBeLessThan(8_000);
  expect(port.handled).toEqual([]);
}, 15_000);

test('grpc.health.v1 tells of the server and of its service', async () => {
  let isServing = false;
  await using port = await startPort({ isServing: () => isServing });
  const check = (name: string) => unary(port.client, healthService['Check'] as never, { service: name }, 5_000);
  expect(await check('')).toEqual({ status: 'SERVING' });
  expect(await check('keyfleet.domain.v1.DomainManager')).toEqual({ status: 'NOT_SERVING' });
  isServing = true;
  await expect.poll(() => check('keyfleet.domain.v1.DomainManager'), { timeout: 5_000 }).toEqual({ status: 'SERVING' });
});

/** Raw calls from one address: their gRPC status, or how their stream was reset. */
function sessionFrom(localAddress: string, address: string) {
  const session = connect(`http://${address}`, { localAddress } as never);
  return {
    call: (path: string, body: Buffer, { end = true } = {}): Promise<string> =>
      new Promise((resolve) => {
        const stream = session.request({
          ':method': 'POST',
          ':path': path,
          'content-type': 'application/grpc',
          te: 'trailers',
        });
        let answer: string | undefined;
        const note = (headers: Record<string, unknown>): void => {
          answer = (headers['grpc-status'] as string | undefined) ?? answer;
        };
        stream
          .on('response', note)
          .on('trailers', note)
          .on('error', () => undefined)
          .resume();
        stream.on('close', () => resolve(answer ?? `reset ${stream.rstCode}`));
        if (end) stream.end(body);
        else stream.write(body);
      }),
    [Symbol.dispose]: () => session.destroy(),
  };
}

test.each([
  [
    'calls what is no method',
    { ':path': '/keyfleet.domain.v1.DomainManager/Nothing', 'content-type': 'application/grpc' },
  ],
  ['speaks no gRPC', { ':path': FetchTokens.path, 'content-type': 'text/plain' }],
])('who %s over and over has its connection ended, as who is refused', async (_, headers) => {
  await using port = await startPort();
  const session = connect(`http://${port.address}`);
  session.on('error', () => {});
  const ended = new Promise((resolve) => session.once('close', resolve));
  const ask = (): void => {
    if (session.destroyed || session.closed) return;
    const call = session.request({ ':method': 'POST', ...headers }, { endStream: true });
    call.on('error', () => {});
    call.on('close', ask);
    call.resume();
  };
  for (let i = 0; i < 8; i++) ask();
  await ended;
});

test.each([
  ['calls what is no method', { ':path': '/a.b/C', 'content-type': 'application/grpc' }],
  ['speaks no gRPC', { ':path': FetchTokens.path, 'content-type': 'text/plain' }],
])(
  'who %s and is gone before its connection is read ends nothing',
  async (_, headers) => {
    const faults: unknown[] = [];
    const note = (fault: unknown): void => void faults.push(fault);
    process.on('uncaughtException', note);
    onTestFinished(() => void process.off('uncaughtException', note));
    await using port = await startPort();
    // After the first 32 of a peer, a connection waits to be read.
    for (let i = 0; i < 60 && faults.length === 0; i++) {
      const session = connect(`http://${port.address}`, { localAddress: '127.0.0.8' } as never).on('error', () => {});
      for (let calls = 0; calls < 5; calls++) {
        session
          .request({ ':method': 'POST', ...headers }, { endStream: true })
          .on('error', () => {})
          .resume();
      }
      await delay(20);
      session.destroy();
    }
    // Until all of them were read.
    await delay(4_000);
    expect(faults).toEqual([]);
    expect(await codeOf(unary(port.client, FetchTokens, {}, 5_000))).toBe(status.OK);
  },
  30_000,
);

test('answers that are not read count as what calls hold: of one peer there are five megabytes', async () => {
  await using port = await startPort({ tokens: [Buffer.alloc(1_000_000)] });
  const ended: number[] = [];
  const sessions = Array.from({ length: 4 }, () =>
    connect(`http://${port.address}`, { localAddress: '127.0.0.7', settings: { initialWindowSize: 0 } } as never),
  );
  const calls = sessions.flatMap((session) =>
    Array.from({ length: 6 }, () =>
      session
        .request({ ':method': 'POST', ':path': FetchTokens.path, 'content-type': 'application/grpc', te: 'trailers' })
        .on('error', () => undefined)
        .end(Buffer.alloc(5)),
    ),
  );
  for (const call of calls) call.on('close', () => ended.push(call.rstCode));
  await expect.poll(() => port.handled.length, { timeout: 10_000 }).toBe(24);
  await expect.poll(() => ended.length, { timeout: 10_000 }).toBeGreaterThanOrEqual(20);
  expect(new Set(ended)).toEqual(new Set([constants.NGHTTP2_ENHANCE_YOUR_CALM]));
  // Who reads is answered, from the same address too.
  using reader = sessionFrom('127.0.0.7', port.address);
  expect(await reader.call(FetchTokens.path, Buffer.alloc(5))).toBe('0');
  for (const session of sessions) session.destroy();
}, 30_000);

test('a message in many pieces counts with what each of them takes', async () => {
  await using port = await startPort();
  const ended: number[] = [];
  const sessions = Array.from({ length: 2 }, () =>
    connect(`http://${port.address}`, { localAddress: '127.0.0.8' } as never).on('error', () => undefined),
  );
  const headers = { ':method': 'POST', ':path': Propose.path, 'content-type': 'application/grpc', te: 'trailers' };
  const calls = sessions.flatMap((session) =>
    Array.from({ length: 6 }, () => session.request(headers).on('error', () => undefined)),
  );
  for (const call of calls) call.on('close', () => ended.push(call.rstCode));
  const startedAt = performance.now();
  for (let sent = 0; sent < 1_000 && ended.length === 0 && performance.now() - startedAt < 4_000; sent++)
    await Promise.all(calls.map((call) => new Promise((written) => call.write(Buffer.of(0), written))));
  expect(ended[0]).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
  expect(performance.now() - startedAt).toBeLessThan(4_000);
  for (const session of sessions) session.destroy();
}, 30_000);

test('calls whose answers may be large count as these from the start: of one peer the oldest of five gives way', async () => {
  const { promise: held, resolve: answerAll } = Promise.withResolvers<void>();
  await using port = await startPort({ held });
  const list = () => codeOf(unary(port.client, DomainManager.service.ListProposals, {}, 10_000));
  const calls: Promise<status>[] = [];
  for (let asked = 1; asked <= 5; asked++) {
    calls.push(list());
    await expect.poll(() => port.handled.length).toBe(asked);
  }
  expect(await calls[0]).toBe(status.RESOURCE_EXHAUSTED);
  using other = sessionFrom('127.0.0.9', port.address);
  const ofOther = other.call(DomainManager.service.ListProposals.path, Buffer.alloc(5));
  await expect.poll(() => port.handled.length).toBe(6);
  answerAll();
  expect(await Promise.all([...calls.slice(1), ofOther])).toEqual([0, 0, 0, 0, '0']);
});

test('a call beside one that proved itself is a stranger as before, and is given up when it does not come', async () => {
  const limit = { maxBytes: 1024, rate: new PeerLimit(monotonicClock, { perSecond: 1, burst: 100 }) };
  const server: GrpcServer = await startGrpcServer({
    address: { host: '127.0.0.1', port: 0 },
    tls: undefined,
    service: Hsm.service,
    handlers: {
      Execute: (call: ExecuteCall) =>
        call.on('data', ({ body }) => {
          server.prove(call.metadata);
          call.write({ body });
        }),
    },
    limits: Object.fromEntries(Object.keys(Hsm.service).map((name) => [name, limit])) as never,
    isServing: () => true,
    drainMs: 100,
  });
  const host = new Client(`127.0.0.1:${server.port}`, credentials.createInsecure());
  const { Execute, Describe } = Hsm.service;
  const frames = host.makeBidiStreamRequest(
    Execute.path,
    Execute.requestSerialize,
    Execute.responseDeserialize,
    new Metadata(),
  );
  const echo = async (): Promise<unknown> => {
    frames.write({ body: Buffer.from('frame') });
    return (await once(frames, 'data'))[0];
  };
  await echo();
  const held = Promise.withResolvers<status | undefined>();
  host.makeClientStreamRequest(
    Describe.path,
    () => Buffer.alloc(9),
    (answer) => answer,
    (error) => held.resolve(error?.code),
  );
  expect(await held.promise).toBe(status.RESOURCE_EXHAUSTED);
  // The stream that proved itself goes on.
  await echo();
  frames.on('error', () => undefined).cancel();
  host.close();
  await server[Symbol.asyncDispose]();
}, 20_000);

test('the port for probes answers how the service is, and nothing else', async () => {
  const limit = { maxBytes: 1024, rate: new PeerLimit(monotonicClock, { perSecond: 1, burst: 1 }) };
  const [names, probes] = [Object.keys(DomainManager.service), await newPort()];
  let isServing = false;
  await using _server = await startGrpcServer({
    address: { host: '127.0.0.1', port: 0 },
    health: { host: '127.0.0.1', port: probes },
    tls: undefined,
    service: DomainManager.service,
    handlers: Object.fromEntries(names.map((name) => [name, () => undefined])),
    limits: Object.fromEntries(names.map((name) => [name, limit])) as never,
    isServing: () => isServing,
    drainMs: 100,
  });
  const client = new Client(`127.0.0.1:${probes}`, credentials.createInsecure());
  const statusOf = async (service: string) =>
    (await unary(client, healthService['Check'] as never, { service }, 5_000)) as unknown;
  expect(await statusOf('')).toMatchObject({ status: 'SERVING' });
  expect(await statusOf('keyfleet.domain.v1.DomainManager')).toMatchObject({ status: 'NOT_SERVING' });
  isServing = true;
  const asked = () => statusOf('keyfleet.domain.v1.DomainManager');
  await expect.poll(asked, { timeout: 10_000 }).toMatchObject({ status: 'SERVING' });
  expect(await codeOf(unary(client, FetchTokens, {}, 5_000))).toBe(status.UNIMPLEMENTED);
  client.close();
});
