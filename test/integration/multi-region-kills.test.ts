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
const KEYS = 16;
const PAST = 1_000;

let cluster: TestCluster;
let store: RedisStore;
const clients = new Map<string, KMS>();
const resources = new AsyncDisposableStack();

beforeAll(async () => {
  cluster = resources.use(await startTestCluster({ workers: 2, dueWorkEvery: '1s' }));
  const { endpoint, credentials } = cluster;
  for (const region of regions) {
    const client = new KMS({ endpoint, credentials, region, maxAttempts: 1 });
    clients.set(
      region,
      resources.adopt(client, (it) => it.destroy()),
    );
  }
  ({ store } = await openClusterKeys(cluster, resources));
});
afterAll(() => resources.disposeAsync());

const inRegion = (region: string): KMS => clients.get(region)!;

async function newReplicated(): Promise<string> {
  const KeyId = (await inRegion(home).createKey({ MultiRegion: true })).KeyMetadata!.KeyId!;
  await inRegion(home).replicateKey({ KeyId, ReplicaRegion: west });
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
  await inRegion(west).scheduleKeyDeletion({ KeyId, PendingWindowInDays: 7 });
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
    make: (KeyId) => inRegion(home).replicateKey({ KeyId, ReplicaRegion: south }),
    isMade: (records) => isIn(south, records),
  },
  UpdatePrimaryRegion: {
    make: (KeyId) => inRegion(home).updatePrimaryRegion({ KeyId, PrimaryRegion: west }),
    isMade: (records) => records[0]?.related?.primary === west,
  },
  RotateKeyOnDemand: {
    make: (KeyId) => inRegion(home).rotateKeyOnDemand({ KeyId }),
    isMade: (records) => records.every(({ backingKeys }) => backingKeys.length === 2),
  },
  'the deletion of a replica': { make: deleteReplica, isMade: (records) => !isIn(west, records) },
};

const kills = [
  ['frontend'],
  ['frontend', 'redis'],
  ['hsm-worker-1', 'hsm-worker-2'],
  ['frontend', 'domain-manager', 'nats'],
];

test.each(Object.entries(changes))(
  '%s is done or never was after processes were killed in the middle, and what was acknowledged is done',
  async (name, { make, isMade }) => {
    const random = newSeeded(seedOf(name));
    let interrupted = 0;
    for (const victims of kills) {
      const ids = await Promise.all(Array.from({ length: KEYS }, newReplicated));
      const killed = await killAmid(ids, make, { cluster, victims, random });
      interrupted += killed.interrupted.size;
      for (const id of ids) {
        const isAsTold = (records: readonly KmsKey[]) => !killed.acknowledged.has(id) || isMade(records);
        const isSettled = (records: readonly KmsKey[]) => isWhole(records) && isAsTold(records);
        await eventually(`${id} is whole`, async () => isSettled(await recordsOf(id)), 60_000);
        await expectOneKey(id, await recordsOf(id));
      }
    }
    // Or the kills came too late for the test to show anything.
    expect(interrupted).toBeGreaterThan(0);
  },
  120_000,
);
