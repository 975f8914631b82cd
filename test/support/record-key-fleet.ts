import { randomBytes } from 'node:crypto';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MemoryFleetSecrets } from '@keyfleet/frontend/store/memory-fleet-secrets';
import { openRecordKeyFloor } from '@keyfleet/frontend/store/record-key-floor';
import { FleetRecordKeys } from '@keyfleet/frontend/store/record-keys';
import { RecordMacs } from '@keyfleet/frontend/store/record-macs';
import { FakeDomain } from './fakes/fake-domain.ts';
import { FakeHsm } from './fakes/fake-hsm.ts';

export const place = { name: 'kf:key:{us-east-1/x}', field: 'record' };
export const record = '{"schemaVersion":1,"policy":",\\"mac\\":\\"1.x\\"}"}';

/** Two frontends without disks, of which one has written a record. */
export async function twoFrontends() {
  const [secrets, hsm, clock, domain] = [new MemoryFleetSecrets(), new FakeHsm(), { now: Date.now }, new FakeDomain()];
  const time = { ms: 0 };
  const open = () => new FleetRecordKeys({ secrets, hsm, domain, clock, monotonicClock: { now: () => time.ms } });
  const [rotating, keys] = [open(), open()];
  const { text: before } = await new RecordMacs(keys).withMac(place, record);
  return { secrets, hsm, domain, time, rotating, keys, macs: new RecordMacs(keys), before };
}

export type TwoFrontends = Awaited<ReturnType<typeof twoFrontends>>;

/** A frontend that writes down on `disk` which record keys it has followed. */
export async function startWith({ secrets, hsm, domain, time }: TwoFrontends, disk: string) {
  const floor = await openRecordKeyFloor({ dataDir: disk, domain: 'test', storeId: () => 'store-a' });
  const clock = { now: Date.now };
  return new FleetRecordKeys({ secrets, hsm, domain, clock, monotonicClock: { now: () => time.ms }, floor });
}

export const newDisk = () => mkdtempDisposable(join(tmpdir(), 'keyfleet-'));

/** As anybody can write it who has read the id of the active domain key: only its header is well-formed. */
export async function withRubbish(number: number, token: Uint8Array): Promise<Buffer> {
  const rubbish = Buffer.from(token);
  Buffer.from(`record-key-${number}`).copy(rubbish, rubbish.indexOf('record-key-'));
  return Buffer.concat([rubbish.subarray(0, -16), randomBytes(16)]);
}
