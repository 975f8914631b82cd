import { Decrypt, Encrypt } from '@keyfleet/shared/api/cipher';
import { CancelKeyDeletion, CreateKey, EnableKey, ScheduleKeyDeletion } from '@keyfleet/shared/api/keys';
import { ReplicateKey, UpdatePrimaryRegion } from '@keyfleet/shared/api/multi-region';
import { DisableKeyRotation, EnableKeyRotation, RotateKeyOnDemand } from '@keyfleet/shared/api/rotation';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { carryOutAll, restoredStore } from '@keyfleet/test-support/fakes/carry-out';
import { FakeFrontend, region, regions } from '@keyfleet/test-support/fakes/frontend';
import { LocalHsm } from '@keyfleet/test-support/fakes/local-hsm';
import { expect, test } from 'vitest';
import { type KmsKey, multiRegionTypeOf, relatedOf } from '../keys/kms-key.ts';
import { StoreUnavailableError } from '../store/store.ts';

// Random histories of a multi-Region key. A backup has the Regions' records from different moments; after its restore
// the history goes on, and what is interrupted is left to the background.

const [MINUTE, DAY] = [60_000, 86_400_000];
const writes = ['insertKey', 'updateKey', 'deleteKey', 'clearTraces', 'forgetEvents', 'removeDue'] as const;
const hsm = new LocalHsm();

/** A linear congruential generator: numbers from 0 to below 1. */
function randomFrom(seed: number): () => number {
  let at = seed;
  return () => {
    at = (Math.imul(at, 1103515245) + 12345) & 0x7fffffff;
    return at / 0x80000000;
  };
}

interface Encrypted {
  readonly from: string;
  readonly CiphertextBlob: Uint8Array;
}

class History {
  readonly #random: () => number;
  #frontend = new FakeFrontend(hsm);
  #store = this.#frontend.store;
  #KeyId = '';
  /** What has been encrypted since the restore. */
  #encrypted: Encrypted[] = [];
  /** How often a write is cut off. */
  #cuts = 0;

  constructor(seed: number) {
    this.#random = randomFrom(seed);
  }

  /** Returns what is wrong in the end. */
  async run(): Promise<string[]> {
    this.#KeyId = (await this.#frontend.call(CreateKey, { MultiRegion: true })).KeyMetadata!.KeyId;
    await this.#work(3 + this.#below(10));
    const backup = await this.#backUp();
    await this.#restore(backup);
    this.#cuts = this.#pick([0, 0.1]);
    await this.#work(3 + this.#below(12));
    this.#cuts = 0;
    for (let i = 0; i < 5; i++) {
      this.#frontend.now += MINUTE + 1000;
      await carryOutAll(this.#frontend, { store: this.#store });
    }
    const keys = await this.#keys();
    return [...unsettled(keys), ...lost(backup, keys), ...(await this.#closed(keys))];
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #pick<T>(from: readonly T[]): T {
    return from[this.#below(from.length)]!;
  }

  async #keys(): Promise<KmsKey[]> {
    const keys = await Promise.all(regions.map(async (one) => this.#frontend.store.findKey(one, this.#KeyId)));
    return keys.filter((key) => key !== undefined);
  }

  /** Each Region's record from one of six moments. */
  async #backUp(): Promise<KmsKey[]> {
    const moments = regions.map(() => this.#below(6));
    const backup: KmsKey[] = [];
    for (let moment = 0; moment < 6; moment++) {
      const keys = await this.#keys();
      backup.push(...keys.filter((key) => moments[regions.indexOf(key.region)] === moment));
      await this.#work(1);
    }
    return backup;
  }

  async #restore(backup: readonly KmsKey[]): Promise<void> {
    const { now } = this.#frontend;
    this.#frontend = new FakeFrontend(hsm);
    this.#frontend.now = now;
    const { store } = this.#frontend;
    for (const name of writes) {
      const write = store[name].bind(store) as (...args: unknown[]) => Promise<unknown>;
      Object.assign(store, { [name]: async (...args: unknown[]) => this.#cutting(() => write(...args)) });
    }
    for (const key of backup) await store.insertKey(key);
    this.#store = restoredStore(store, backup);
    this.#encrypted = [];
  }

  async #cutting(write: () => Promise<unknown>): Promise<unknown> {
    if (this.#random() < this.#cuts) throw new StoreUnavailableError('cut off before');
    const result = await write();
    if (this.#random() < this.#cuts) throw new StoreUnavailableError('cut off after');
    return result;
  }

  async #work(times: number): Promise<void> {
    for (let time = 0; time < times; time++) {
      try {
        await this.#one();
      } catch (error) {
        if (!(error instanceof KmsException || error instanceof StoreUnavailableError)) throw error;
      }
    }
  }

  async #one(): Promise<unknown> {
    const primaries = (await this.#keys()).filter((key) => multiRegionTypeOf(key) === 'PRIMARY');
    const primary = { region: primaries.length > 0 ? this.#pick(primaries).region : region };
    const [where, KeyId, frontend] = [this.#pick(regions), this.#KeyId, this.#frontend];
    const there = { region: where };
    const moveTo = () => frontend.call(UpdatePrimaryRegion, { KeyId, PrimaryRegion: where }, primary);
    const encrypt = async () => {
      const { CiphertextBlob } = await frontend.call(Encrypt, { KeyId, Plaintext: Buffer.from('x') }, there);
      this.#encrypted.push({ from: where, CiphertextBlob: CiphertextBlob! });
    };
    return this.#pick<() => Promise<unknown>>([
      () => frontend.call(ReplicateKey, { KeyId, ReplicaRegion: where }, primary),
      () => frontend.call(RotateKeyOnDemand, { KeyId }, primary),
      moveTo,
      moveTo,
      () => frontend.call(this.#pick([EnableKeyRotation, DisableKeyRotation]), { KeyId }, primary),
      () => frontend.call(ScheduleKeyDeletion, { KeyId, PendingWindowInDays: 7 }, there),
      () => frontend.call(CancelKeyDeletion, { KeyId }, there),
      () => frontend.call(EnableKey, { KeyId }, there),
      encrypt,
      encrypt,
      () => carryOutAll(frontend, { store: this.#store, onLeft: () => {} }),
      async () => void (frontend.now += this.#pick([1000, MINUTE, 4 * DAY, 8 * DAY])),
    ])();
  }

  /** What has been encrypted since in a Region that has its key, and nothing opens. */
  async #closed(keys: readonly KmsKey[]): Promise<string[]> {
    const KeyId = this.#KeyId;
    for (const key of keys) {
      const there = { region: key.region };
      if (key.state.startsWith('Pending')) await this.#frontend.call(CancelKeyDeletion, { KeyId }, there);
      await this.#frontend.call(EnableKey, { KeyId }, there);
    }
    const wrong: string[] = [];
    for (const { from, CiphertextBlob } of this.#encrypted) {
      if (!keys.some((key) => key.region === from)) continue;
      const opening = keys.map((key) => this.#frontend.call(Decrypt, { CiphertextBlob }, { region: key.region }));
      const opened = await Promise.allSettled(opening);
      if (opened.some(({ status }) => status === 'rejected')) wrong.push(`a ciphertext of ${from} is not opened`);
    }
    return wrong;
  }
}

function unsettled(keys: readonly KmsKey[]): string[] {
  if (keys.length === 0) return [];
  const primaries = keys.filter((key) => multiRegionTypeOf(key) === 'PRIMARY');
  if (primaries.length !== 1) return [`${primaries.length} primaries`];
  const { primary, replicas } = relatedOf(primaries[0]!);
  const listed = [primary, ...replicas].toSorted().join();
  // One that was scheduled for deletion while it was being made has no material.
  const there = keys
    .filter(({ backingKeys }) => backingKeys.length > 0)
    .map((key) => key.region)
    .toSorted();
  return [
    ...(listed === there.join() ? [] : [`lists ${listed}, and there are ${there.join()}`]),
    ...keys.flatMap(({ region: at, state, related, backingKeys }) => [
      ...(state === 'Creating' ? [`${at} is being made`] : []),
      ...(related?.spreading || related?.next ? [`${at} is changing`] : []),
      ...(backingKeys.some(({ pending }) => pending) ? [`${at} is rotating`] : []),
      ...(state === 'PendingReplicaDeletion' && replicas.length === 0 ? [`${at} waits for nobody`] : []),
    ]),
  ];
}

/** Material of the backup, unless every key has been deleted. */
function lost(backup: readonly KmsKey[], keys: readonly KmsKey[]): string[] {
  const idsOf = (from: readonly KmsKey[]) =>
    new Set(from.flatMap(({ backingKeys }) => backingKeys.map(({ materialId }) => materialId)));
  if (keys.length === 0) return [];
  return [...idsOf(backup).difference(idsOf(keys))].map((id) => `material ${id} is lost`);
}

test('a backup with records from different moments settles, whatever was and is done', async () => {
  for (let seed = 1; seed <= 250; seed++) {
    const wrong = await new History(seed).run();
    expect({ seed, wrong }).toEqual({ seed, wrong: [] });
  }
}, 120_000);
