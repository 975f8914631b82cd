import { Decrypt, Encrypt } from '@keyfleet/shared/api/cipher';
import { GetParametersForImport, ImportKeyMaterial } from '@keyfleet/shared/api/import';
import { CancelKeyDeletion, CreateKey, ScheduleKeyDeletion } from '@keyfleet/shared/api/keys';
import { ReplicateKey, UpdatePrimaryRegion } from '@keyfleet/shared/api/multi-region';
import { EnableKeyRotation, RotateKeyOnDemand } from '@keyfleet/shared/api/rotation';
import { wrapMaterial } from '@keyfleet/shared/wrap-material';
import { carryOutAll } from '@keyfleet/test-support/fakes/carry-out';
import { accountId, FakeFrontend, region, regions } from '@keyfleet/test-support/fakes/frontend';
import { LocalHsm } from '@keyfleet/test-support/fakes/local-hsm';
import { beforeEach, expect, test } from 'vitest';
import { type KmsKey, multiRegionTypeOf } from '../keys/kms-key.ts';
import { StoreUnavailableError } from '../store/store.ts';

// Operations on a multi-Region key are interrupted before or after each of their writes; then the background continues.

const [west, south] = ['eu-west-1', 'ap-south-1'];
const DAY = 86_400_000;
const writes = ['insertKey', 'updateKey', 'deleteKey', 'clearTraces', 'forgetEvents', 'removeDue'] as const;

let frontend: FakeFrontend<LocalHsm>;
let KeyId: string;
/** How many writes are left before everything fails, as if the process were killed; undefined: nothing fails. */
let left: { writes: number; when: 'before' | 'after' } | undefined;

const hsm = new LocalHsm();

/** Starts a frontend whose only key has a replica. */
async function begin(): Promise<void> {
  frontend = new FakeFrontend(hsm);
  left = undefined;
  for (const name of writes) {
    const write = frontend.store[name].bind(frontend.store) as (...args: unknown[]) => Promise<unknown>;
    Object.assign(frontend.store, { [name]: (...args: unknown[]) => cutting(() => write(...args)) });
  }
  KeyId = (await frontend.call(CreateKey, { MultiRegion: true })).KeyMetadata!.KeyId;
  await replicate(west);
}

beforeEach(begin);

async function cutting(write: () => Promise<unknown>): Promise<unknown> {
  if (left === undefined) return write();
  left.writes--;
  if (left.writes < 0 || (left.writes === 0 && left.when === 'before')) throw new StoreUnavailableError('cut off');
  const result = await write();
  if (left.writes === 0) throw new StoreUnavailableError('cut off');
  return result;
}

function replicate(ReplicaRegion: string) {
  return frontend.call(ReplicateKey, { KeyId, ReplicaRegion });
}

async function importMaterial(): Promise<void> {
  const wrapping = { WrappingAlgorithm: 'RSAES_OAEP_SHA_256', WrappingKeySpec: 'RSA_2048' } as const;
  const { ImportToken, PublicKey } = await frontend.call(GetParametersForImport, { KeyId, ...wrapping });
  const EncryptedKeyMaterial = wrapMaterial('RSAES_OAEP_SHA_256', PublicKey!, Buffer.alloc(32, 1));
  const ExpirationModel = 'KEY_MATERIAL_DOES_NOT_EXPIRE';
  await frontend.call(ImportKeyMaterial, { KeyId, ImportToken, EncryptedKeyMaterial, ExpirationModel });
}

/** Runs the background, a minute later. */
const carryOut = () => carryOutAll(frontend, { onLeft: () => {} });

async function keysThere(): Promise<KmsKey[]> {
  const keys = await Promise.all(regions.map(async (one) => frontend.store.findKey(one, KeyId)));
  return keys.filter((key) => key !== undefined);
}

/** What must be the same in every Region. */
function sharedOf({ related, automaticRotation, backingKeys }: KmsKey) {
  return { related, automaticRotation, materials: backingKeys.map(({ materialId, pending }) => [materialId, pending]) };
}

/** Nothing is half done: all records agree, and each Region opens what another encrypts. */
async function expectWhole(): Promise<readonly KmsKey[]> {
  const keys = await keysThere();
  for (const key of keys) {
    expect(key.state).not.toBe('Creating');
    expect(key.related).not.toMatchObject({ spreading: true });
    expect(key.related?.next).toBeUndefined();
    expect(key.backingKeys.some(({ pending }) => pending)).toBe(false);
    expect(sharedOf(key)).toEqual(sharedOf(keys[0]!));
  }
  expect(keys.filter((key) => multiRegionTypeOf(key) === 'PRIMARY')).toHaveLength(1);
  const { primary, replicas } = keys[0]!.related!;
  expect([primary, ...replicas].toSorted()).toEqual(keys.map((key) => key.region).toSorted());
  const enabled = keys.filter(({ state }) => state === 'Enabled').map((key) => key.region);
  for (const from of enabled) {
    const Plaintext = Buffer.from(from);
    const { CiphertextBlob } = await frontend.call(Encrypt, { KeyId, Plaintext }, { region: from });
    for (const to of enabled) {
      const opened = await frontend.call(Decrypt, { CiphertextBlob }, { region: to });
      expect(Buffer.from(opened.Plaintext!).toString()).toBe(from);
    }
  }
  return keys;
}

interface Work {
  readonly name: string;
  readonly prepare?: () => Promise<unknown>;
  readonly run: () => Promise<unknown>;
  readonly isDone: (keys: readonly KmsKey[]) => boolean;
}

const works: readonly Work[] = [
  {
    name: 'ReplicateKey',
    run: () => replicate(south),
    isDone: (keys) => keys.length === 3,
  },
  {
    name: 'RotateKeyOnDemand',
    run: () => frontend.call(RotateKeyOnDemand, { KeyId }),
    isDone: ([key]) => key!.backingKeys.length === 2,
  },
  {
    name: 'UpdatePrimaryRegion',
    prepare: () => replicate(south),
    run: () => frontend.call(UpdatePrimaryRegion, { KeyId, PrimaryRegion: west }),
    isDone: ([key]) => key!.related!.primary === west,
  },
  {
    name: 'EnableKeyRotation',
    run: () => frontend.call(EnableKeyRotation, { KeyId }),
    isDone: ([key]) => key!.automaticRotation !== undefined,
  },
  {
    name: 'an automatic rotation',
    prepare: async () => {
      await frontend.call(EnableKeyRotation, { KeyId, RotationPeriodInDays: 90 });
      frontend.now += 91 * DAY;
    },
    run: carryOut,
    isDone: ([key]) => key!.backingKeys.length === 2,
  },
  {
    name: 'the deletion of a replica for which the primary waits',
    prepare: async () => {
      await replicate(south);
      await frontend.call(ScheduleKeyDeletion, { KeyId, PendingWindowInDays: 7 }, { region: west });
      frontend.now += 8 * DAY;
    },
    run: carryOut,
    isDone: (keys) => keys.length === 2,
  },
];

const mustComeAbout = new Set(['an automatic rotation', 'the deletion of a replica for which the primary waits']);

test.each(works.flatMap((work) => (['before', 'after'] as const).map((when) => ({ ...work, when }))))(
  '$name, cut off $when any of its writes, is done or never was',
  async ({ name, prepare, run, isDone, when }) => {
    const outcomes = new Set<boolean>();
    for (let count = 1; ; count++) {
      await begin();
      await prepare?.();
      left = { writes: count, when };
      const answered = await run().then(
        () => true,
        () => false,
      );
      const isCut = left.writes <= 0;
      left = undefined;
      for (let i = 0; i < 3; i++) {
        frontend.now += 11_000;
        await carryOut();
      }
      const keys = await expectWhole();
      outcomes.add(isDone(keys));
      if (answered || mustComeAbout.has(name)) expect(isDone(keys)).toBe(true);
      if (!isCut) break;
      expect(count, 'writes that it takes').toBeLessThan(40);
    }
    expect(outcomes.has(true)).toBe(true);
  },
);

test('a primary whose last replica is deleted waits from then on', async () => {
  await frontend.call(ScheduleKeyDeletion, { KeyId, PendingWindowInDays: 10 });
  await frontend.call(ScheduleKeyDeletion, { KeyId, PendingWindowInDays: 7 }, { region: west });
  frontend.now += 8 * DAY;
  await carryOut();
  const [primary, ...others] = await keysThere();
  expect(others).toEqual([]);
  expect(primary).toMatchObject({ region, accountId, state: 'PendingDeletion', deletionDate: frontend.now + 10 * DAY });
  expect(primary!.related!.replicas).toEqual([]);
  frontend.now += 11 * DAY;
  await carryOut();
  expect(await keysThere()).toEqual([]);
  expect(frontend.serviceEvents.filter(({ eventName }) => eventName === 'DeleteKey')).toHaveLength(2);
});

test('a replica whose primary was scheduled for deletion before it knew of it is deleted', async () => {
  left = { writes: 1, when: 'after' };
  await expect(replicate(south)).rejects.toThrow();
  left = undefined;
  expect(await frontend.store.findKey(south, KeyId)).toMatchObject({ state: 'Creating' });
  await frontend.call(ScheduleKeyDeletion, { KeyId });
  frontend.now += 60_000;
  await carryOut();
  expect(await frontend.store.findKey(south, KeyId)).toBeUndefined();
});

test.each(['AWS_KMS', 'EXTERNAL'] as const)(
  'a replica of origin %s that was cut off, scheduled for deletion and taken back is completed',
  async (Origin) => {
    KeyId = (await frontend.call(CreateKey, { MultiRegion: true, Origin })).KeyMetadata!.KeyId;
    if (Origin === 'EXTERNAL') await importMaterial();
    left = { writes: 1, when: 'after' };
    await expect(replicate(west)).rejects.toThrow();
    left = undefined;
    await frontend.call(ScheduleKeyDeletion, { KeyId }, { region: west });
    await frontend.call(CancelKeyDeletion, { KeyId }, { region: west });
    frontend.now += 60_000;
    await carryOut();
    expect(await expectWhole()).toHaveLength(2);
  },
);

test('many changes at once, in any order, leave every Region saying the same', async () => {
  await replicate(south);
  const changes = [
    () => frontend.call(RotateKeyOnDemand, { KeyId }),
    () => frontend.call(UpdatePrimaryRegion, { KeyId, PrimaryRegion: west }),
    () => frontend.call(EnableKeyRotation, { KeyId }),
    () => frontend.call(RotateKeyOnDemand, { KeyId }),
    () => frontend.call(UpdatePrimaryRegion, { KeyId, PrimaryRegion: south }),
  ];
  await Promise.allSettled(changes.map((change) => change()));
  frontend.now += 60_000;
  await carryOut();
  await expectWhole();
});

test('Regions that a restored backup left apart are brought together, and no material is lost', async () => {
  const before = (await frontend.store.findKey(region, KeyId))!;
  await frontend.call(RotateKeyOnDemand, { KeyId });
  const after = (await frontend.store.findKey(region, KeyId))!;
  // The backup has the primary's record from before and the replica's from after.
  await frontend.store.updateKey({ ...before, revision: after.revision });
  await frontend.call(EnableKeyRotation, { KeyId });
  const keys = await expectWhole();
  expect(keys[0]!.backingKeys).toHaveLength(2);
});

test('a replica that the restored primary had forgotten is known again', async () => {
  const before = (await frontend.store.findKey(region, KeyId))!;
  await replicate(south);
  const after = (await frontend.store.findKey(region, KeyId))!;
  await frontend.store.updateKey({ ...before, revision: after.revision });
  await expect(replicate(south)).rejects.toThrow('already exists');
  expect(await expectWhole()).toHaveLength(3);
});
