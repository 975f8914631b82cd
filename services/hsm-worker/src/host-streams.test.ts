import { status } from '@grpc/grpc-js';
import { StreamOpening } from '@keyfleet/frontend/hsm/open-channel';
import { encodeRequests, FrameSealer } from '@keyfleet/shared/hsm/frame';
import { protocols } from '@keyfleet/shared/hsm/protocol';
import { EventEmitter, once } from 'node:events';
import { expect, test } from 'vitest';
import { FakeDomain, negotiate, newHost, newWorker } from '../../../test/support/session-pair.ts';
import { type ExecuteCall, HostStreams } from './host-streams.ts';

/** An Execute call without a network; what the worker sends comes as `sent`. */
class FakeCall extends EventEmitter {
  write({ body }: { body: Buffer }): boolean {
    return this.emit('sent', body);
  }
  end(): void {}
  resume(): void {}
  pause(): void {}
}

test('a host is proven by its first frame, and not by a first message that someone recorded', async () => {
  const host = newHost();
  const domain = new FakeDomain([host]);
  const { service } = newWorker(domain);
  const opening = await StreamOpening.start(await negotiate(domain, host, service), protocols);
  let proven = 0;
  using streams = new HostStreams({ sessions: service, events: { streamOpened() {}, streamRefused() {} } });
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
  using streams = new HostStreams({ sessions: service, events: { streamOpened() {}, streamRefused() {} } });
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
