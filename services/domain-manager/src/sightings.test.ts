import { CHANGEOVER_MS } from '@keyfleet/shared/domain/state';
import { verifyChain } from '@keyfleet/shared/domain/chain';
import { newOperator, TestClock, TestDomain } from '@keyfleet/test-support/domain';
import { expect, test } from 'vitest';
import { provesRetirement } from './reseal-passes.ts';
import { Sightings } from './sightings.ts';
import { MemoryStore } from './store/memory-store.ts';

const MINUTE = 60_000;
const scheduler = newOperator('scheduler-1', 'scheduler');

/** A domain whose member hsm-3 was just removed, and domain-managers that see it, whose clock may be set. */
function fixture() {
  const domain = new TestDomain({ members: 3 });
  domain.step({ name: 'ModifyMembers', body: { admit: [], remove: ['hsm-3'] } });
  const { state } = verifyChain(domain.anchor, domain.tokens);
  const wall = new TestClock();
  wall.time = domain.clock.now();
  const monotonic = new TestClock();
  const store = new MemoryStore(monotonic);
  const seenAt = monotonic.now();
  const tokens = { seenForMs: () => monotonic.now() - seenAt, page: (after: number) => domain.tokens.slice(after) };
  const replica = () => new Sightings({ tokens, store, scheduler, clock: wall, monotonicClock: monotonic });
  const passMinutes = async (minutes: number, sightings: Sightings) => {
    for (let i = 0; i < minutes; i++) {
      wall.advance(MINUTE);
      monotonic.advance(MINUTE);
      await sightings.keep(state);
    }
  };
  /** Of a pass that began then and found nothing. */
  const proves = (startedAt: number, sightings: Sightings) => {
    const reports = new Map([[0, { resealed: 0, remaining: 0, parts: 1, standing: 'done' } as const]]);
    return provesRetirement(state, { pass: 1, shards: 1, startedAt, reports, parts: 1, resealed: 0 }, sightings);
  };
  return { state, wall, replica, passMinutes, proves };
}

test.each([0, 1, 19])(
  'a clock that is set forward after %i minutes ends no wait: it is as long as it takes',
  async (minutes) => {
    const { state, wall, replica, passMinutes, proves } = fixture();
    const sightings = replica();
    await sightings.keep(state);
    await passMinutes(minutes, sightings);
    wall.advance(30 * MINUTE);
    await sightings.keep(state);
    expect(proves(wall.now(), sightings)).toBe(false);
    // Nor does it for one that takes over.
    const successor = replica();
    await successor.keep(state);
    expect(proves(wall.now(), successor)).toBe(false);

    await passMinutes((2 * CHANGEOVER_MS) / MINUTE - minutes, sightings);
    expect(proves(wall.now(), sightings)).toBe(true);
    expect(proves(wall.now() - 1, sightings)).toBe(false);
  },
);

test('what began before a clock was set back proves nothing later either', async () => {
  const { state, wall, replica, passMinutes, proves } = fixture();
  const sightings = replica();
  await sightings.keep(state);
  await passMinutes(1, sightings);
  const startedAt = wall.now();
  wall.advance(-30 * MINUTE);
  await passMinutes(60, sightings);
  expect(startedAt).toBeLessThan(wall.now());
  expect(proves(startedAt, sightings)).toBe(false);
  expect(proves(wall.now(), sightings)).toBe(true);
});
