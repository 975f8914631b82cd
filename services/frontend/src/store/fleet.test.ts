import { DEADLINE, newFleet, PRIVATE } from '@keyfleet/test-support/fleet-keys';
import { expect, test } from 'vitest';
import { Fleet } from './fleet.ts';
import { MemoryFleetSecrets } from './memory-fleet-secrets.ts';

test('when operators accept an older store, its keys are used', async () => {
  const { hsm, domain, time } = newFleet();
  const stores = [new MemoryFleetSecrets(), new MemoryFleetSecrets()];
  let store = stores[0]!;
  const clock = { now: () => time.now };
  const deps = { hsm, domain, clock, events: { fleetKeyDropped: () => {} } };
  const fleet = new Fleet({ ...deps, store: delegating(() => store) });
  const keys = fleet.keys(PRIVATE);
  const before = await keys.newest(DEADLINE);
  store = stores[1]!;
  const others = await new Fleet({ ...deps, store }).keys(PRIVATE).newest(DEADLINE);
  fleet.forget();
  expect((await keys.newest(DEADLINE)).key.export()).toEqual(others.key.export());
  expect(others.key.export()).not.toEqual(before.key.export());
});

function delegating(
  to: () => MemoryFleetSecrets,
): Pick<MemoryFleetSecrets, 'findFleetKey' | 'insertFleetKey' | 'listFleetKeys' | 'dropFleetKey'> {
  return {
    findFleetKey: (name, id) => to().findFleetKey(name, id),
    insertFleetKey: (name, id, token) => to().insertFleetKey(name, id, token),
    listFleetKeys: (name, ids) => to().listFleetKeys(name, ids),
    dropFleetKey: (name, id, token) => to().dropFleetKey(name, id, token),
  };
}
