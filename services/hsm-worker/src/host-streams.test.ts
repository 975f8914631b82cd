import { StreamOpening } from '@keyfleet/frontend/hsm/open-channel';
import { encodeRequests, FrameSealer } from '@keyfleet/shared/hsm/frame';
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
  const opening = await StreamOpening.start(await negotiate(domain, host, service));
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
