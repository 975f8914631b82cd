import { KMS } from '@aws-sdk/client-kms';
import { type KmsKey, multiRegionTypeOf } from '@keyfleet/frontend/keys/kms-key';
import type { RedisStore } from '@keyfleet/frontend/store/redis-store';
import { startTestCluster, type TestCluster } from '@keyfleet/test-support/cluster';
import { openClusterKeys } from '@keyfleet/test-support/cluster-records';
import { eventually } from '@keyfleet/test-support/fleet';
import { killAmid } from '@keyfleet/test-support/killed-changes';
import { newSeeded, seedOf } from '@keyfleet/test-support/seeded';
import { afterAll, beforeAll, expect, test } from 'vitest';

// Real processes are killed while they change multi-Region keys; the due work goes on from what the records say.

const regions = ['us-east-1', 'eu-west-1', 'ap-south-1'] as const;
const [home, west, south] = regions;
/** Of each kind of change, for each kill. */
const KEYS = 8;
const PAST = 1_000;

let cluster: TestCluster;
let store: RedisStore;
/** For the changes that are cut off: they ask once. */
const impatient = new Map<string, KMS>();
/** For what is prepared and looked at: on a busy machine a request may take longer than a frontend gives it. */
const patient = new Map<string, KMS>();
const resources = new AsyncDisposableStack();

beforeAll(async () => {
  cluster = resources.use(await startTestCluster({ workers: 2, dueWorkEvery: '1s' }));
  const { endpoint, credentials } = cluster;
  const newKms = (region: string, maxAttempts: number) =>
    resources.adopt(new KMS({ endpoint, credentials, region, maxAttempts }), (it) => it.destroy());
  for (const region of regions) {
    impatient.set(region, newKms(region, 1));
    patient.set(region, newKms(region, 10));
  }
  ({ store } = await openClusterKeys(cluster, resources));
});
afterAll(() => resources.disposeAsync());

const inRegion = (region: string): KMS => patient.get(region)!;
const onceIn = (region: string): KMS => impatient.get(region)!;

async function newReplicated(): Promise<string> {
  const KeyId = (await inRegion(home).createKey({ MultiRegion: true })).KeyMetadata!.KeyId!;
  // Asked again, it says that there is what the answer that came too late told of.
  const isThere = ({ name }: Error) => expect(name).toBe('AlreadyExistsException');
  await inRegion(home).replicateKey({ KeyId, ReplicaRegion: west }).catch(isThere);
  return KeyId;
}

async function recordsOf(keyId: string): Promise<KmsKey[]> {
  const records = await Promise.all(regions.map((region) => store.findKey(region, keyId)));
  return records.filter((record) => record !== undefined);
}

function sharedOf({ related, backingKeys }: KmsKey): string {
  return JSON.stringify([related, backingKeys.map(({ materialId, pending }) => [materialId, pending])]);
}

function isWhole(records: readonly KmsKey[]): boolean {
  const { primary = '', replicas = [] } = records[0]?.related ?? {};
  return (
    records.every(({ state, related }) => state !== 'Creating' && !related?.spreading && related?.next === undefined) &&
    records.every((record) => sharedOf(record) === sharedOf(records[0]!)) &&
    records.filter((record) => multiRegionTypeOf(record) === 'PRIMARY').length === 1 &&
    records.every(({ backingKeys }) => backingKeys.every(({ pending }) => !pending)) &&
    [primary, ...replicas].toSorted().join() ===
      records
        .map(({ region }) => region)
        .toSorted()
        .join()
  );
}

/** What each Region encrypts every other decrypts. */
async function expectOneKey(KeyId: string, records: readonly KmsKey[]): Promise<void> {
  const usable = records.filter(({ state }) => state === 'Enabled').map(({ region }) => region);
  for (const from of usable) {
    const { CiphertextBlob } = await inRegion(from).encrypt({ KeyId, Plaintext: Buffer.from(from) });
    for (const to of usable) {
      const opened = await inRegion(to).decrypt({ CiphertextBlob });
      expect(Buffer.from(opened.Plaintext!).toString()).toBe(from);
    }
  }
}

async function deleteReplica(KeyId: string): Promise<void> {
  await onceIn(west).scheduleKeyDeletion({ KeyId, PendingWindowInDays: 7 });
  const record = (await store.findKey(west, KeyId))!;
  await store.updateKey({ ...record, deletionDate: PAST });
}

const isIn = (region: string, records: readonly KmsKey[]) => records.some((record) => record.region === region);

interface Change {
  readonly make: (keyId: string) => Promise<unknown>;
  readonly isMade: (records: readonly KmsKey[]) => boolean;
}

const changes: Readonly<Record<string, Change>> = {
  ReplicateKey: {
    make: (KeyId) => onceIn(home).replicateKey({ KeyId, ReplicaRegion: south }),
    isMade: (records) => isIn(south, records),
  },
  UpdatePrimaryRegion: {
    make: (KeyId) => onceIn(home).updatePrimaryRegion({ KeyId, PrimaryRegion: west }),
    isMade: (records) => records[0]?.related?.primary === west,
  },
  RotateKeyOnDemand: {
    make: (KeyId) => onceIn(home).rotateKeyOnDemand({ KeyId }),
    isMade: (records) => records.every(({ backingKeys }) => backingKeys.length === 2),
  },
  'the deletion of a replica': { make: deleteReplica, isMade: (records) => !isIn(west, records) },
};
const names = Object.keys(changes);

const random = newSeeded(seedOf('multi-region-kills'));
/** Kinds of changes that were begun and not acknowledged. */
const interrupted = new Set<string>();

/** Throws unless each change is done or never was, and what was acknowledged is done. */
async function killInTheMiddle(victims: readonly string[]): Promise<void> {
  const ids: string[] = [];
  // In turn, so that each kind is under way when the kill comes.
  for (let i = 0; i < KEYS; i++) ids.push(...(await Promise.all(names.map(newReplicated))));
  const nameOf = new Map(ids.map((id, index) => [id, names[index % names.length]!]));
  const change = (id: string) => changes[nameOf.get(id)!]!;
  const killed = await killAmid(ids, (id) => change(id).make(id), { cluster, victims, random });
  for (const id of killed.interrupted) interrupted.add(nameOf.get(id)!);
  await Promise.all(
    ids.map(async (id) => {
      const isAsTold = (records: readonly KmsKey[]) => !killed.acknowledged.has(id) || change(id).isMade(records);
      const isSettled = (records: readonly KmsKey[]) => isWhole(records) && isAsTold(records);
      const what = `${nameOf.get(id)!} of ${id} is whole`;
      await eventually(what, async () => isSettled(await recordsOf(id)), 60_000);
      await expectOneKey(id, await recordsOf(id));
    }),
  );
}

test.each([
  [['frontend']],
  [['frontend', 'redis']],
  [['hsm-worker-1', 'hsm-worker-2']],
  [['frontend', 'domain-manager', 'nats']],
])(
  'a change is done or never was when %j is killed in the middle, and what was acknowledged is done',
  killInTheMiddle,
  120_000,
);

test('kills go on until each kind of change was cut off by one', async () => {
  const isMet = () => names.every((name) => interrupted.has(name));
  for (let kills = 0; kills < 12 && !isMet(); kills++) await killInTheMiddle(['frontend']);
  expect([...interrupted].toSorted()).toEqual(names.toSorted());
}, 240_000);
