import { isMember } from '@keyfleet/shared/domain/state';
import { parseToken } from '@keyfleet/shared/domain/token';
import { refusalOf } from '@keyfleet/domain-manager/scheduled-changes';
import { type Change, memberOf, newOperator, publicPart, rotation, type TestOperator } from './domain.ts';
import { DomainPromises } from './domain-promises.ts';
import { type Keeper, LossyStore } from './lossy-store.ts';
import { LyingMember } from './lying-member.ts';
import {
  alice,
  bob,
  command,
  DAY,
  grownReplica,
  LocalWorker,
  newReplica,
  type Replica,
  resetWorld,
  scheduler,
  signed,
  world,
} from './replicas.ts';
import { newSeeded, type Seeded } from './seeded.ts';

const MINUTE = 61_000;
/** More would only take time. */
const MAX_WORKERS = 6;

/**
 * A domain of real members, one of which may lie, and a real domain-manager, which goes where a seed leads it: members
 * and schedulers come and go, anything stops or starts again, and the store loses its newest tokens. But whenever that
 * happens, one honest member has them all and is in reach until they are back: nothing is promised otherwise.
 */
class Walk {
  readonly history: string[] = [];
  readonly #seeded: Seeded;
  readonly #store: LossyStore;
  readonly #liar: LyingMember | undefined;
  readonly #schedulers: TestOperator[] = [scheduler];
  #replica!: Replica;
  readonly #promises = new DomainPromises();
  /** Whom proposals that were signed would remove, with the generation that they would follow. */
  readonly #toLeave: { readonly memberId: string; readonly after: number }[] = [];
  #keeper: Keeper | undefined;
  #names = 3;

  constructor(seed: number, withLiar: boolean) {
    this.#seeded = newSeeded(seed);
    resetWorld();
    this.#store = new LossyStore(world.clock);
    world.store = this.#store;
    if (!withLiar) return;
    this.#liar = new LyingMember('hsm-2', this.#seeded);
    world.workers[1] = this.#liar;
  }

  async found(): Promise<void> {
    this.#replica = await grownReplica();
    this.#promises.assertKept(this.#honest, this.#store.tokens);
  }

  async step(): Promise<void> {
    const steps: [number, () => Promise<void> | void][] = [
      [9, () => this.#rounds(this.#seeded.between(1, 2))],
      [3, () => this.#loseTokens()],
      [1, () => this.#startDomainManager()],
      [2, () => void (this.#store.kills = this.#note(this.#seeded.pick(['before', 'after'] as const)))],
      [5, () => this.#changeReach()],
      [2, () => this.#restartWorker()],
      [1, () => this.#loseVolume()],
      [2, () => this.#loseAnswersOf(this.#seeded.pick(this.#honest))],
      [2, () => world.clock.advance(DAY)],
      [5, () => this.#changeMembers()],
      [3, () => this.#changeOperators()],
      [1, () => this.#propose(rotation)],
      [3, () => void (this.#liar && this.#note(JSON.stringify(this.#liar.changeItsMind())))],
    ];
    let at = this.#seeded.next() * steps.reduce((sum, [weight]) => sum + weight, 0);
    const [, step] = steps.find(([weight]) => (at -= weight) < 0)!;
    await step();
    if (this.#seeded.next() < 0.3) await this.#rounds(1);
    this.#promises.assertKept(this.#honest, this.#store.tokens);
  }

  /** All are in reach again; who lies goes. */
  async settle(): Promise<void> {
    this.#note('everybody is back');
    this.#store.kills = undefined;
    for (const worker of world.workers) Object.assign(worker, { down: false, installFails: false, gives: undefined });
    await this.#rounds(4, MINUTE);
    if (this.#liar !== undefined) await this.#removeLiar(this.#liar.hsm.memberId);
    if (this.#lacks) throw new Error('lost tokens do not come back');
    const { generation } = this.#replica.tokens;
    world.clock.advance(2 * DAY);
    await this.#rounds(4, MINUTE);
    if (this.#replica.tokens.generation === generation) throw new Error('no token is made any more');
    const behind = this.#honestMembers.filter(({ hsm }) => hsm.installed?.state.generation !== this.#generation);
    if (behind.length > 0) throw new Error(`${behind.map(({ hsm }) => hsm.memberId).join()} cannot follow`);
  }

  async #removeLiar(liar: string): Promise<void> {
    if (this.#lacks) {
      this.#note('its address is taken out');
      world.workers.splice(world.workers.indexOf(this.#liar!), 1);
      await this.#rounds(4, MINUTE);
    }
    const change: Change = { name: 'ModifyMembers', body: { admit: [], remove: [liar] } };
    for (let attempt = 0; attempt < 8 && this.#hasMember(liar); attempt++) {
      const preparers = this.#honestMembers;
      const preparer = preparers[attempt % preparers.length]!.hsm.memberId;
      const proposed = command(this.#replica, change, preparer);
      await this.#sign(attempt < preparers.length ? proposed : { ...proposed, unwitnessed: true });
      await this.#rounds(3, MINUTE);
    }
    if (this.#hasMember(liar)) throw new Error('who lies cannot be removed');
  }

  async #rounds(count: number, everyMs?: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      world.clock.advance(everyMs ?? this.#seeded.pick([1_000, MINUTE]));
      await this.#useKeyInForce();
      try {
        await this.#replica.round.run();
      } catch (error) {
        this.#note((error as Error).message);
      }
      this.#promises.assertKept(this.#honest, this.#store.tokens);
    }
  }

  /** Whoever runs it gives it the key of a scheduler, also of one from before what the store lost. */
  async #useKeyInForce(): Promise<void> {
    const { state } = this.#replica.tokens.head!;
    const key = this.#schedulers.findLast((one) => refusalOf(one, state) === undefined)!;
    if (key === world.scheduler) return;
    world.scheduler = key;
    await this.#startDomainManager();
  }

  async #startDomainManager(): Promise<void> {
    this.#replica = newReplica();
    await this.#replica.tokens.refresh();
    this.#note(`the domain-manager starts at ${this.#generation}`);
  }

  async #loseTokens(): Promise<void> {
    if (this.#store.tokens.length < 2) return;
    const count = this.#seeded.between(1, Math.min(8, this.#store.tokens.length - 1));
    const keeper = this.#findKeeper(this.#store.tokens.length - count);
    if (keeper === undefined) return;
    this.#keeper = keeper;
    this.#store.tokens.length -= count;
    this.#note(`the store loses ${count}; ${keeper.memberId} has them`);
    if (this.#seeded.next() < 0.8) await this.#startDomainManager();
    if (this.#seeded.next() < 0.8) this.#changeReach();
    if (this.#seeded.next() < 0.5) this.#loseAnswersOf(this.#honest.find((one) => this.#keeps(one))!);
    if (this.#seeded.next() < 0.5) world.clock.advance(DAY);
  }

  /** Who is honest, has all tokens, and is to leave by no change that could follow the first `left`. */
  #findKeeper(left: number): Keeper | undefined {
    const generation = Math.max(this.#generation, this.#keeper?.generation ?? 0);
    if (!this.#lacks && this.#store.tokens.length !== generation) return undefined;
    const keepers = this.#honest.filter(
      ({ down, hsm }) =>
        !down &&
        hsm.describe().domain !== '' &&
        hsm.state?.generation === generation &&
        !this.#toLeave.some(({ memberId, after }) => memberId === hsm.memberId && after >= left),
    );
    if (keepers.length === 0) return undefined;
    const keeper = this.#seeded.pick(keepers);
    keeper.gives = undefined;
    const { memberId } = keeper.hsm;
    const states = this.#store.tokens.slice(left - 1).map((token) => parseToken(token).state);
    const counts = !this.#lacks && states.every((state) => isMember(state, keeper.hsm.describe()));
    return { memberId, generation, counts };
  }

  /** Who is in reach from now on: about half of all. */
  #changeReach(): void {
    for (const worker of world.workers) {
      worker.down = this.#seeded.next() < 0.5 && !this.#keeps(worker);
      worker.installFails = this.#seeded.next() < 0.2 && !this.#keeps(worker);
    }
    this.#note('others are in reach');
  }

  #restartWorker(): void {
    const at = world.workers.indexOf(this.#seeded.pick(this.#honest));
    const { down, hsm } = world.workers[at]!;
    world.workers[at] = Object.assign(world.workers[at]!.restarted(), { down });
    this.#note(`${hsm.memberId} restarts`);
  }

  #loseVolume(): void {
    const worker = this.#seeded.pick(this.#honest);
    const { memberId } = worker.hsm;
    const leaving = this.#toLeave.filter(({ after }) => after >= this.#generation).map((one) => one.memberId);
    if (this.#keeps(worker) || this.#remaining([memberId, ...leaving]) < 2) return;
    world.workers[world.workers.indexOf(worker)] = new LocalWorker(memberId, world.clock);
    this.#note(`${memberId} loses its volume`);
  }

  /** To who asks what it holds, for a while. */
  #loseAnswersOf(worker: LocalWorker): void {
    if (this.#keeps(worker) && !this.#keeper!.counts) return;
    worker.gives = worker.gives === undefined ? Buffer.of() : undefined;
    this.#note(`${worker.hsm.memberId} ${worker.gives === undefined ? 'gives again' : 'gives nothing'}`);
  }

  async #changeMembers(): Promise<void> {
    const { members } = this.#replica.tokens.head!.state;
    const present = members.map(({ memberId }) => memberId);
    const fresh = this.#freshWorker(present);
    const admits = fresh !== undefined && this.#seeded.next() < 0.6;
    const isReplaced = admits && present.includes(fresh.hsm.memberId);
    const remove = isReplaced ? [fresh.hsm.memberId] : this.#whoGoes(present, admits);
    if (!admits && remove.length === 0) return;
    await this.#propose({ name: 'ModifyMembers', body: { admit: admits ? [memberOf(fresh.hsm)] : [], remove } });
  }

  /** One that asks to join, also in the place of the member that it was before it lost its volume. */
  #freshWorker(present: readonly string[]): LocalWorker | undefined {
    const { state } = this.#replica.tokens.head!;
    const asks = this.#honest.find(({ hsm }) => hsm.describe().domain === '' && !isMember(state, hsm.describe()));
    if (asks !== undefined || present.length >= MAX_WORKERS || world.workers.length >= MAX_WORKERS) return asks;
    const worker = new LocalWorker(`hsm-${++this.#names}`, world.clock);
    world.workers.push(worker);
    return worker;
  }

  #whoGoes(present: readonly string[], admits: boolean): string[] {
    const goes = this.#seeded.pick(present);
    if ((admits && this.#seeded.next() < 0.6) || this.#remaining([goes]) < 2) return [];
    // Of two removals that contradict each other, each preparer can be bound to one.
    return this.#toLeave.some(({ after }) => after === this.#generation) ? [] : [goes];
  }

  async #changeOperators(): Promise<void> {
    const { operators } = this.#replica.tokens.head!.state;
    const hosts = operators.filter(({ role }) => role === 'service-host');
    const name = `operator-${this.history.length}`;
    const change = (admit: TestOperator[], remove: string[]) =>
      this.#propose({ name: 'ModifyOperators', body: { admit: admit.map(publicPart), remove } });
    if (this.#seeded.next() < 0.3) {
      const next = newOperator(name, 'scheduler');
      this.#schedulers.push(next);
      await change([next], [world.scheduler.operatorId]);
    } else if (hosts.length > 0 && this.#seeded.next() < 0.6) await change([], [hosts[0]!.operatorId]);
    else await change([newOperator(name, 'service-host')], []);
  }

  async #propose(change: Change): Promise<void> {
    const removed: readonly string[] = change.name === 'ModifyMembers' ? change.body.remove : [];
    const stays = this.#replica.tokens.head!.state.members.filter(({ memberId }) => !removed.includes(memberId));
    // People see who could make it now, and mostly name one of these.
    const ready = world.workers.filter(({ down, hsm }) => !down && hsm.describe().generation === this.#generation);
    const able = stays.filter((one) => ready.some(({ hsm }) => isMember({ members: [one] }, hsm.describe())));
    const preparers = able.length > 0 && this.#seeded.next() < 0.9 ? able : stays;
    await this.#sign(command(this.#replica, change, this.#seeded.pick(preparers).memberId));
  }

  async #sign(change: ReturnType<typeof command>): Promise<void> {
    const removed: readonly string[] = change.name === 'ModifyMembers' ? change.body.remove : [];
    // People do not remove who alone may have the tokens that the store lacks.
    if (this.#lacks && removed.includes(this.#keeper!.memberId)) return;
    for (const memberId of removed) this.#toLeave.push({ memberId, after: this.#generation });
    const admitted = change.name === 'ModifyMembers' ? change.body.admit.map(({ memberId }) => memberId) : [];
    this.#note(
      `${change.name} by ${change.preparer}: +${admitted.join()} -${removed.join()}${change.unwitnessed ? ' unwitnessed' : ''}`,
    );
    try {
      await this.#replica.proposals.propose(signed(change, [alice, bob]));
    } catch (error) {
      this.#note((error as Error).message);
    }
  }

  #note<T extends string>(what: T): T {
    const fleet = world.workers.map(
      ({ hsm, down }) => `${hsm.memberId}@${hsm.describe().generation}${down ? '-' : ''}`,
    );
    this.history.push(`${what} [store ${this.#store.tokens.length}, manager ${this.#generation}, ${fleet.join(' ')}]`);
    return what;
  }

  get #generation(): number {
    return this.#replica.tokens.generation;
  }
  get #honest(): LocalWorker[] {
    return world.workers.filter((worker) => worker !== this.#liar);
  }
  get #honestMembers(): LocalWorker[] {
    const { state } = this.#replica.tokens.head!;
    return this.#honest.filter(({ hsm }) => isMember(state, hsm.describe()));
  }
  get #lacks(): boolean {
    return this.#store.tokens.length < (this.#keeper?.generation ?? 0);
  }
  #keeps({ hsm }: LocalWorker): boolean {
    return this.#lacks && hsm.memberId === this.#keeper!.memberId;
  }
  #hasMember(memberId: string): boolean {
    return this.#replica.tokens.head!.state.members.some((one) => one.memberId === memberId);
  }
  /** How many honest members would be left with the domain keys. */
  #remaining(without: readonly string[]): number {
    return this.#honestMembers.filter(
      ({ hsm }) => !without.includes(hsm.memberId) && hsm.state?.generation === this.#generation,
    ).length;
  }
}

/** Throws if something comes of so many steps that may not be, and says how. */
export async function walk(seed: number, steps: number, { liar }: { readonly liar: boolean }): Promise<void> {
  const domain = new Walk(seed, liar);
  await domain.found();
  try {
    for (let i = 0; i < steps; i++) await domain.step();
    await domain.settle();
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}\n${domain.history.join('\n')}`, { cause: error });
  }
}
