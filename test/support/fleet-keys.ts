import { Fleet } from '@keyfleet/frontend/store/fleet';
import { MemoryFleetSecrets } from '@keyfleet/frontend/store/memory-fleet-secrets';
import { FakeDomain } from './fakes/fake-domain.ts';
import { FakeHsm } from './fakes/fake-hsm.ts';

export const DEADLINE = Number.MAX_SAFE_INTEGER;
export const PRIVATE = { name: 'private', info: 'private', outlivesRemovals: false };

/** The frontends of one fleet. `domain` is what all of them know, unless given another. */
export function newFleet() {
  const [store, hsm, domain] = [new MemoryFleetSecrets(), new FakeHsm(), new FakeDomain()];
  const time = { now: 0, monotonic: 0 };
  const foreign: string[] = [];
  const open = (name = PRIVATE, known = domain) =>
    new Fleet({
      store,
      hsm,
      domain: known,
      clock: { now: () => time.now },
      monotonicClock: { now: () => time.monotonic },
      events: { fleetKeyDropped: ({ message }) => void foreign.push(message) },
    }).keys(name);
  const rotate = (options?: { afterRemoval: boolean }) => (hsm.sealsUnder = domain.rotate(time.now, options));
  /** Which keys of a purpose are stored, by their domain keys. */
  const listed = (name: string) =>
    store.listFleetKeys(
      name,
      domain.state.domainKeys.map(({ id }) => id),
    );
  return { store, hsm, domain, time, foreign, open, rotate, listed };
}
