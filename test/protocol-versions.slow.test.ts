import { FrameError } from '@keyfleet/shared/hsm/frame';
import { type FrameLayout, protocols, type Protocols } from '@keyfleet/shared/hsm/protocol';
import { type LoopbackPool, LoopbackWorker, startLoopbackPool, until } from '@keyfleet/test-support/loopback-worker';
import { FakeDomain, HostEnd, negotiate, newWorker } from '@keyfleet/test-support/session-pair';
import { answering, host } from '@keyfleet/test-support/two-workers';
import { expect, test } from 'vitest';

// What docs/formats.md says under "Protocol versions", between this release and one that would come next.

const [[LAST, layout] = [0, undefined]] = [...protocols].slice(-1);
const NEXT = LAST + 1;

/** Frames of a release to come: what this one would take for garbage. `uses` counts those that it laid out. */
function nextLayout(uses: { count: number }): FrameLayout {
  const marked = (plain: Buffer): Buffer => {
    uses.count++;
    return Buffer.concat([Buffer.of(0xff), plain]);
  };
  const unmarked = (plain: Uint8Array): Uint8Array => {
    if (plain[0] !== 0xff) throw new FrameError();
    return plain.subarray(1);
  };
  return {
    encodeRequests: (frame) => marked(layout!.encodeRequests(frame)),
    decodeRequests: (plain) => layout!.decodeRequests(unmarked(plain)),
    encodeReplies: (entries) => marked(layout!.encodeReplies(entries)),
    decodeReplies: (plain) => layout!.decodeReplies(unmarked(plain)),
  };
}

function releases() {
  const uses = { count: 0 };
  const last: Protocols = new Map([[LAST, layout!]]);
  const next: Protocols = new Map([...last, [NEXT, nextLayout(uses)]]);
  return { uses, last, next, only: new Map([[NEXT, nextLayout(uses)]]) };
}

/** Two workers under the load of frontends, which ask until it ends. */
async function startFleet(frontends: readonly Protocols[], workers: readonly [Protocols, Protocols]) {
  const domain = new FakeDomain([host]);
  const handlers = { GenerateRandom: answering(7) };
  const members = [
    new LoopbackWorker(domain, 'hsm-1', handlers, workers[0]),
    new LoopbackWorker(domain, 'hsm-2', handlers, workers[1]),
  ] as const;
  const pools = await Promise.all(
    frontends.map((protocols) => startLoopbackPool({ domain, host, workers: members, protocols })),
  );
  let isOver = false;
  const ask = async ({ execute }: LoopbackPool): Promise<number> => {
    let answered = 0;
    for (; !isOver; answered++) await execute('GenerateRandom', { length: 1 }, domain.clock.now() + 10_000);
    return answered;
  };
  const load = Promise.all(pools.flatMap((pool) => Array.from({ length: 32 }, () => ask(pool))));
  return {
    /** Another release starts in a worker's place; until every frontend uses it and it has answered more. */
    async replace(i: 0 | 1, release: Protocols): Promise<void> {
      members[i].replace(release);
      await until(() => pools.every(({ pool }) => pool.ready === 2));
      const { answers } = members[i];
      await until(() => members[i].answers > answers + 10);
    },
    /** How many were answered, of which none failed. */
    async end(): Promise<number> {
      isOver = true;
      const answered = (await load).reduce((sum, count) => sum + count, 0);
      await Promise.all(pools.map((pool) => pool[Symbol.asyncDispose]()));
      return answered;
    },
  };
}

test('workers are upgraded and downgraded under load, with a frontend of either release: no command fails', async () => {
  for (const of of ['last', 'next'] as const) {
    const { uses, last, next, [of]: frontend } = releases();
    const fleet = await startFleet([frontend], [last, last]);
    await fleet.replace(0, next);
    await fleet.replace(1, next);
    // The newest version that both speak, and no other.
    if (of === 'next') expect(uses.count).toBeGreaterThan(0);
    await fleet.replace(0, last);
    if (of === 'last') expect(uses.count).toBe(0);
    expect(await fleet.end()).toBeGreaterThan(100);
  }
});

test('frontends of both releases are served by one fleet at once, while it is upgraded', async () => {
  const { uses, last, next } = releases();
  const fleet = await startFleet([last, next], [last, next]);
  await fleet.replace(0, next);
  expect(uses.count).toBeGreaterThan(0);
  expect(await fleet.end()).toBeGreaterThan(100);
});

test('a host that is two releases away is told what either end speaks; a stranger is told nothing', async () => {
  const { last, only } = releases();
  const domain = new FakeDomain([host]);
  const { service } = newWorker(domain, 'hsm-1', { protocols: only });
  const session = await negotiate(domain, host, service);
  await expect(HostEnd.open(service, session, domain)).rejects.toThrow(
    `no common protocol version: the hsm-worker speaks ${NEXT}, the frontend ${[...last.keys()].join(', ')}`,
  );
  domain.change({ operators: [] });
  await expect(HostEnd.open(service, session, domain)).rejects.toThrow(/^$/);
});
