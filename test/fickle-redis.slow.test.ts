import { activeDomainKey, domainKeysToRetire } from '@keyfleet/shared/domain/state';
import { FormatError } from '@keyfleet/shared/encoding/bytes';
import type { CommandName, InputOf, OutputOf } from '@keyfleet/shared/hsm/commands';
import { accessKeyIdOf, domainKeyIdOf } from '@keyfleet/shared/hsm/exported-key-token';
import { FLEET_PRINCIPAL } from '@keyfleet/frontend/hsm/client';
import { type HsmCommands, HsmRefusedError } from '@keyfleet/frontend/hsm/commands';
import { openRecordKeyFloor } from '@keyfleet/frontend/store/record-key-floor';
import { recordKeyName } from '@keyfleet/frontend/store/record-key';
import { FleetRecordKeys } from '@keyfleet/frontend/store/record-keys';
import { DamagedRecordError } from '@keyfleet/frontend/store/store';
import type { Keyring } from '@keyfleet/hsm-worker/boundary/domain/keyring';
import { runCommand, testContext } from '@keyfleet/test-support/command-context';
import { TestDomain } from '@keyfleet/test-support/domain';
import { newSeeded, seedOf } from '@keyfleet/test-support/seeded';
import { hkdfSync, randomBytes } from 'node:crypto';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { RedisSealedRecords } from '../services/frontend/src/background/redis-sealed-records.ts';

const ROUNDS = 12;
const STEPS = 120;
const at = (number: number): string => `kf:secret:{${recordKeyName(number).name}}`;
const numberIn = (place: string): number => Number(/-(\d+)\}$/.exec(place)![1]);

/**
 * Two frontends, and a third that had record keys made in advance, was removed, and now controls Redis: each read shows
 * what is there, or was, or what the former frontend has. What it finds used among its own is in `broken`.
 */
class World {
  readonly random: ReturnType<typeof newSeeded>;
  readonly domain = new TestDomain({ members: 2 });
  readonly broken: string[] = [];
  isFickle = false;
  /** The generation of the removal. */
  removedIn = Infinity;
  /** What each frontend has used since the removal that was made after it: the lowest number. */
  readonly safeFrom = [Infinity, Infinity];
  /** How often a frontend used a record key from then on. */
  used = 0;
  readonly time = { ms: 0 };
  newest = 1;
  #oldest = 1;
  readonly #stored = new Map<string, Buffer>();
  readonly #ever = new Map<string, Buffer[]>();
  readonly #genuine = new Map<string, number>();
  readonly #planted = new Set<string>();
  readonly #plants: { readonly place: string; readonly token: Buffer }[] = [];
  #before: Keyring | undefined;
  readonly frontends: Frontend[] = [];
  readonly #directories: readonly string[];

  constructor(seed: number, directories: readonly string[]) {
    this.random = newSeeded(seed);
    this.#directories = directories;
  }

  get state() {
    return this.domain.hsms[0]!.state!;
  }

  get keyring(): Keyring {
    return this.domain.hsms[0]!.keyring()!;
  }

  async restart(index: number): Promise<void> {
    this.frontends[index] = await openFrontend(this, index, this.#directories[index]!);
  }

  /** Has one made while it is a frontend, or by a member that has not heard of the removal. */
  async plant(number: number, domainKeyId: string): Promise<void> {
    const accessKeyId = `keyfleet-${recordKeyName(number).name}/${domainKeyId}`;
    const keyring = this.#before ?? this.keyring;
    const made = await run('GenerateCredential', { accessKeyId, principal: FLEET_PRINCIPAL }, keyring);
    this.#planted.add(recordKeyIn(made.secretAccessKey));
    this.#plants.push({ place: at(number), token: Buffer.from(made.token) });
  }

  remove(): void {
    this.#before = this.keyring;
    this.domain.step({
      name: 'ModifyOperators',
      body: { admit: [], remove: [this.domain.frontend.operatorId] },
    });
    this.removedIn = this.state.generation;
  }

  async store(place: string, token: Uint8Array): Promise<void> {
    this.#stored.set(place, Buffer.from(token));
    this.#ever.set(place, [...(this.#ever.get(place) ?? []), Buffer.from(token)]);
    const key = await this.#keyIn(token);
    const { createdGeneration = 0 } = this.state.domainKeys.find(({ id }) => id === domainKeyIdOf(token)) ?? {};
    if (key !== undefined && !this.#genuine.has(key)) this.#genuine.set(key, createdGeneration);
  }

  has(place: string): boolean {
    return this.#stored.has(place);
  }

  async read(place: string): Promise<Buffer | undefined> {
    for (let turns = this.random.between(0, 2); turns > 0; turns--) await setImmediate();
    return this.isFickle && this.random.next() < 0.4 ? this.#another(place) : this.#stored.get(place);
  }

  get oldest(): number | undefined {
    const shown = this.isFickle && this.random.next() < 0.4 ? this.random.between(1, this.newest + 2) : this.#oldest;
    return shown === 1 ? undefined : shown;
  }

  /** Operators have put every record under the newest record key. */
  drop(): void {
    this.#oldest = this.newest = Math.max(...[...this.#stored.keys()].map(numberIn));
    for (const place of this.#stored.keys()) if (place !== at(this.newest)) this.#stored.delete(place);
  }

  retire(): void {
    const ids = domainKeysToRetire(this.state).map(({ id }) => id);
    const used = new Set([...this.#stored.values()].map(domainKeyIdOf));
    if (ids.length === 0 || ids.some((id) => used.has(id))) return;
    this.domain.clock.advance(3_600_000);
    this.domain.retire(...ids);
  }

  /** A frontend uses this key under the number. */
  uses(index: number, number: number, key: string): void {
    if ((this.#genuine.get(key) ?? 0) >= this.removedIn) this.safeFrom[index] = Math.min(this.safeFrom[index]!, number);
    if (number < this.safeFrom[index]!) return;
    this.used++;
    if (this.#planted.has(key)) this.broken.push(`frontend ${index} uses a planted record key ${number}`);
  }

  async carries(index: number, place: string, token: Uint8Array): Promise<void> {
    const key = await this.#keyIn(token);
    if (numberIn(place) < this.safeFrom[index]! || key === undefined || !this.#planted.has(key)) return;
    this.broken.push(`frontend ${index} carries a planted record key ${numberIn(place)} along`);
  }

  #another(place: string): Buffer | undefined {
    const plants = this.#plants.filter((plant) => plant.place === place);
    const anywhere = [...this.#ever.values()].flat().concat(this.#plants.map(({ token }) => token));
    const here = [...(this.#ever.get(place) ?? []), ...plants.map(({ token }) => token)];
    const choices = [here, here, here, anywhere, [Buffer.alloc(0)]].filter(({ length }) => length > 0);
    return this.random.next() < 0.1 ? undefined : this.random.pick(this.random.pick(choices));
  }

  async #keyIn(token: Uint8Array): Promise<string | undefined> {
    const header = { accessKeyId: accessKeyIdOf(token), principal: FLEET_PRINCIPAL };
    const opened = await run('OpenCredential', { ...header, token }, this.keyring).catch(() => undefined);
    return opened && recordKeyIn(opened.secretAccessKey);
  }
}

const context = testContext({ random: randomBytes, nonce: randomBytes });

function run<N extends CommandName>(name: N, input: InputOf<N>, keyring: Keyring): Promise<OutputOf<N>> {
  return runCommand(name, input, { ...context, keyring });
}

function recordKeyIn(secret: Uint8Array): string {
  return Buffer.from(hkdfSync('sha256', secret, '', recordKeyName(1).info, 32)).toString('hex');
}

type Frontend = Awaited<ReturnType<typeof openFrontend>>;

async function openFrontend(world: World, index: number, dataDir: string) {
  const hsm: HsmCommands = {
    async execute(name, input) {
      await setImmediate();
      try {
        return await run(name, input, world.keyring);
      } catch (cause) {
        throw new HsmRefusedError('cannot-open', (cause as Error).message);
      }
    },
    executeEverywhere: async () => {},
  };
  const secrets = {
    findSecret: (name: string) => world.read(`kf:secret:{${name}}`),
    async insertSecret(name: string, token: Uint8Array) {
      const place = `kf:secret:{${name}}`;
      if (!world.has(place)) await world.store(place, token);
      return (await world.read(place)) ?? Buffer.from(token);
    },
    findOldestRecordKey: async () => world.oldest,
    async noteOldestRecordKey() {},
  };
  const floor = await openRecordKeyFloor({ dataDir, domain: 'test', storeId: () => 'store' });
  const { clock } = world.domain;
  const monotonicClock = { now: () => world.time.ms };
  const keys = new FleetRecordKeys({ secrets, hsm, domain: world, clock, monotonicClock, floor });
  const calls = {
    bytes: async (place: string) => world.read(place),
    async script(_name: string, place: string, before: Buffer, after: Buffer) {
      await world.carries(index, place, after);
      const isThere = (await world.read(place))?.equals(before) === true;
      if (isThere) await world.store(place, after);
      return isThere ? 1 : 0;
    },
  };
  const records = new RedisSealedRecords({ calls, recordKeys: keys, domainState: () => world.state } as never);
  return {
    keys,
    async use(): Promise<void> {
      const { key, number } = await keys.newest();
      world.uses(index, number, key.export().toString('hex'));
    },
    async find(number: number): Promise<void> {
      const key = await keys.find(number);
      if (key !== undefined) world.uses(index, number, key.export().toString('hex'));
    },
    async reseal(): Promise<void> {
      const places = Array.from({ length: world.newest + 2 }, (_, i) => at(i + 1));
      for (const record of await records.load(places)) {
        const { token } = await hsm.execute('ResealToken', { token: record.tokens[0]! }, Infinity);
        await record.replace([token]);
      }
    },
  };
}

/** What happens, and how often of all. */
const steps: readonly (readonly [weight: number, step: (world: World, index: number) => unknown])[] = [
  [6, (world, index) => world.frontends[index]!.use()],
  [6, (world, index) => world.frontends[index]!.find(world.random.between(1, world.newest + 1))],
  [3, (world, index) => world.frontends[index]!.keys.look()],
  [6, (world, index) => world.frontends[index]!.reseal()],
  [2, (world, index) => world.restart(index)],
  [4, ({ time, random }) => void (time.ms += random.between(0, 3_000))],
  [
    2,
    async (world, index) => {
      const { number } = await world.frontends[index]!.keys.makeNext();
      world.newest = Math.max(world.newest, number);
    },
  ],
  [1, (world) => world.drop()],
  [1, (world) => world.retire()],
  [
    1,
    ({ domain, state }) => {
      domain.clock.advance(7_200_000);
      if (state.generation < 9) domain.rotate();
    },
  ],
  [
    3,
    async (world) => {
      const { state, random, newest } = world;
      const named = world.removedIn === Infinity ? activeDomainKey(state) : random.pick(state.domainKeys);
      await world.plant(random.between(1, newest + 3), named.id);
    },
  ],
  [1, (world) => void (world.removedIn === Infinity && world.remove())],
  [3, (world) => void (world.isFickle = world.removedIn < Infinity && !world.isFickle)],
];
const bag = steps.flatMap(([weight, step]) => Array.from({ length: weight }, () => step));

/** Frontends may refuse, with a problem of which the log tells. */
function isRefusal(error: unknown): boolean {
  return [DamagedRecordError, FormatError, HsmRefusedError].some((kind) => error instanceof kind);
}

test('whatever Redis shows from one read to the next, no record key of a former frontend comes after a safe one', async () => {
  const seed = seedOf('fickle-redis');
  let used = 0;
  for (let round = 0; round < ROUNDS; round++) {
    await using one = await mkdtempDisposable(join(tmpdir(), 'keyfleet-test-'));
    await using two = await mkdtempDisposable(join(tmpdir(), 'keyfleet-test-'));
    const world = new World(seed + round, [one.path, two.path]);
    for (const index of [0, 1]) {
      await world.restart(index);
      await world.frontends[index]!.use();
    }
    for (let step = 0; step < STEPS; step++) {
      const now = Array.from({ length: world.random.between(1, 3) }, () => world.random.pick(bag));
      const done = await Promise.allSettled(now.map(async (act) => act(world, world.random.between(0, 1))));
      for (const outcome of done) if (outcome.status === 'rejected' && !isRefusal(outcome.reason)) throw outcome.reason;
    }
    expect(world.broken, `round ${round}`).toEqual([]);
    used += world.used;
  }
  expect(used).toBeGreaterThan(ROUNDS);
});
