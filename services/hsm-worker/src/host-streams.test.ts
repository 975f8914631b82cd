import { status } from '@grpc/grpc-js';
import { StreamOpening } from '@keyfleet/frontend/hsm/open-channel';
import { encodeRequests, FrameSealer } from '@keyfleet/shared/hsm/frame';
import { protocols } from '@keyfleet/shared/hsm/protocol';
import { EventEmitter, once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { FakeDomain, negotiate, newHost, newWorker } from '../../../test/support/session-pair.ts';
import { HostLoad, MAX_STREAMS_OF_HOST, TooManyStreamsError } from './boundary/host-load.ts';
import { type ExecuteCall, HostStreams } from './host-streams.ts';

/** An Execute call without a network; `sent` holds what the worker sends. */
class FakeCall extends EventEmitter {
  readonly #peer: string;
  constructor(peer = '192.0.2.1') {
    super();
    this.#peer = `${peer}:1234`;
  }
  getPeer(): string {
    return this.#peer;
  }
  write({ body }: { body: Buffer }): boolean {
    return this.emit('sent', body);
  }
  end(): void {
    this.emit('ended');
  }
  resume(): void {}
  pause(): void {}
}

test('a host is proven by its first frame, and not by a first message that someone recorded', async () => {
  const host = newHost();
  const domain = new FakeDomain([host]);
  const { service } = newWorker(domain);
  const opening = await StreamOpening.start(await negotiate(domain, host, service), protocols);
  let proven = 0;
  using streams = new HostStreams({
    sessions: service,
    events: { streamOpened() {}, streamRefused() {}, streamOverLimit() {} },
  });
  const opened = async () => {
    const call = new FakeCall();
    streams.add(call as unknown as ExecuteCall, () => proven++);
    call.emit('data', { body: opening.open });
    const [accept] = (await once(call, 'sent')) as [Buffer];
    return { call, accept };
  };

  const { call, accept } = await opened();
  const replay = await opened();
  expect(proven).toBe(0);
  replay.call.once('error', () => {});
  replay.call.emit('data', { body: Buffer.alloc(32) });
  expect(proven).toBe(0);

  const { keys } = await opening.finish(accept, domain);
  const frame = () => ({ body: sealer.seal(encodeRequests({ entries: [], signature: undefined })) });
  const sealer = new FrameSealer(keys.hostToMember);
  call.emit('data', frame());
  call.emit('data', frame());
  expect(proven).toBe(1);
});

test('a host that speaks none of this worker’s protocol versions is told so; whatever else is wrong is refused without a reason', async () => {
  const host = newHost();
  const domain = new FakeDomain([host]);
  const { service } = newWorker(domain);
  const layout = protocols.get(1)!;
  const opening = await StreamOpening.start(await negotiate(domain, host, service), new Map([[99, layout]]));
  using streams = new HostStreams({
    sessions: service,
    events: { streamOpened() {}, streamRefused() {}, streamOverLimit() {} },
  });
  const answerTo = async (body: Buffer): Promise<unknown> => {
    const call = new FakeCall();
    streams.add(call as unknown as ExecuteCall, () => undefined);
    const refused = once(call, 'error');
    call.emit('data', { body });
    return (await refused)[0];
  };
  expect(await answerTo(opening.open)).toEqual({
    code: status.FAILED_PRECONDITION,
    details: `no common protocol version: the hsm-worker speaks ${[...protocols.keys()].join(', ')}, the frontend 99. Upgrade the older one, release by release`,
  });
  opening.open[opening.open.length - 1]! ^= 1;
  expect(await answerTo(opening.open)).toEqual({ code: status.UNAUTHENTICATED, details: 'refused' });
});

/** A host with one session. `reasons`: why streams were ended. */
async function startHost() {
  const host = newHost();
  const domain = new FakeDomain([host]);
  const { service } = newWorker(domain);
  const session = await negotiate(domain, host, service);
  const reasons: string[] = [];
  const events = {
    streamOpened() {},
    streamRefused() {},
    streamOverLimit: (reason: string) => void reasons.push(reason),
  };
  const streams = new HostStreams({ sessions: service, events });
  onTestFinished(() => streams[Symbol.dispose]());
  const open = async (peer?: string) => {
    const opening = await StreamOpening.start(session, protocols);
    const call = new FakeCall(peer);
    streams.add(call as unknown as ExecuteCall, () => undefined);
    call.emit('data', { body: opening.open });
    const [accept] = (await once(call, 'sent')) as [Buffer];
    const sealer = new FrameSealer((await opening.finish(accept, domain)).keys.hostToMember);
    const ping = () =>
      void call.emit('data', { body: sealer.seal(encodeRequests({ entries: [], signature: undefined })) });
    return { call, ping };
  };
  return { open, reasons };
}

test('one host has so many streams at once: one more takes the place of the longest silent, a recorded opening none', async () => {
  const { open, reasons } = await startHost();
  await open();
  const full = [];
  for (let i = 0; i < MAX_STREAMS_OF_HOST; i++) full.push(await open());
  for (const { ping } of full) ping();
  type Opened = Awaited<ReturnType<typeof open>>;
  const [active, silent, other] = full as [Opened, Opened, Opened];

  // A member that passed on how the host opened its streams, and kept them, has not the keys for a second frame.
  active.ping();
  for (const crowded of [silent, other]) {
    const next = await open();
    next.ping();
    const ended = once(crowded.call, 'ended');
    crowded.ping();
    await ended;
    active.ping();
  }
  expect(reasons).toEqual(Array(2).fill('frontend-1 has 64 streams at this hsm-worker already'));

  full[3]!.call.emit('close');
  (await open()).ping();
  expect(reasons).toHaveLength(2);

  // Whoever has most of the places makes room first, however long another is silent.
  const elsewhere = await open('192.0.2.2');
  elsewhere.ping();
  for (let i = 0; i < MAX_STREAMS_OF_HOST; i++) (await open()).ping();
  let hasEnded = false;
  elsewhere.call.once('ended', () => (hasEnded = true));
  elsewhere.ping();
  expect(hasEnded).toBe(false);
});

test('a stream on which the host sent a second frame keeps its place, however many begin after its last', async () => {
  const { open } = await startHost();
  const quiet = await open();
  let isOver = false;
  quiet.call.once('ended', () => (isOver = true));
  for (let frames = 0; frames < 2; frames++) quiet.ping();
  for (let i = 0; i < 2 * MAX_STREAMS_OF_HOST; i++) (await open()).ping();
  quiet.ping();
  expect(isOver).toBe(false);
});

test('a stream that finds only busy ones is refused, with the reason', async () => {
  const receive = () => {
    throw new TooManyStreamsError('frontend-1');
  };
  const openStream = async () => ({ inFlight: 0, valid: true, crowdedOut: undefined, receive, close() {} });
  const events = { streamOpened() {}, streamRefused() {}, streamOverLimit() {} };
  using streams = new HostStreams({ sessions: { openStream }, events });
  const call = new FakeCall();
  streams.add(call as unknown as ExecuteCall, () => undefined);
  call.emit('data', { body: Buffer.alloc(1) });
  await new Promise(setImmediate);
  const refused = once(call, 'error');
  call.emit('data', { body: Buffer.alloc(1) });
  expect((await refused)[0]).toEqual({
    code: status.RESOURCE_EXHAUSTED,
    details: 'frontend-1 has 64 streams at this hsm-worker already',
  });
});

test.each([
  ['without a second frame', { peer: 'b', lastFrame: 0 }],
  ['of the address that has most', { peer: 'a', lastFrame: 5 }],
  ['silent longest', { peer: 'a', lastFrame: 1 }],
])('of two that are idle, the one %s gives way', (_which, loser) => {
  const load = new HostLoad('frontend-1', 100);
  const crowded: object[] = [];
  const join = (stream: { peer: string; lastFrame: number }, inFlight = 0) =>
    load.join({ ...stream, inFlight, crowdOut: () => void crowded.push(stream) });
  const winner =
    loser.lastFrame === 1 ? { peer: 'a', lastFrame: 2 } : { peer: loser.peer === 'a' ? 'b' : 'a', lastFrame: 4 };
  join(winner);
  join(loser);
  for (let i = 2; i < MAX_STREAMS_OF_HOST; i++) join({ peer: 'a', lastFrame: 9 }, 1);
  join({ peer: 'a', lastFrame: 0 });
  expect(crowded).toEqual([loser]);
});

test('a stream with a command under way keeps its place', () => {
  const load = new HostLoad('frontend-1', 100);
  const crowded: number[] = [];
  const streams = Array.from({ length: MAX_STREAMS_OF_HOST }, (_, i) => ({
    peer: '192.0.2.1',
    inFlight: i === MAX_STREAMS_OF_HOST - 1 ? 0 : 1,
    lastFrame: i,
    crowdOut: () => void crowded.push(i),
  }));
  for (const stream of streams) load.join(stream);
  const another = { peer: '192.0.2.1', inFlight: 1, lastFrame: 99, crowdOut() {} };
  load.join(another);
  expect(crowded).toEqual([MAX_STREAMS_OF_HOST - 1]);
  streams.at(-1)!.inFlight = 1;
  expect(() => load.join({ ...another })).toThrow('frontend-1 has 64 streams at this hsm-worker already');
});
