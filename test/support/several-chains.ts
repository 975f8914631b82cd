import type { Hsm } from '@keyfleet/hsm-worker/boundary/hsm';
import { type Change, memberOf, newOperator, rotation, TestDomain } from './domain.ts';
import { until } from './loopback-worker.ts';
import { newSeeded, type Seeded } from './seeded.ts';
import { newFloor, proofOf, type Shown, showing, viewOf } from './shown-tokens.ts';

const HOUR = 3_600_000;
const NOTHING_YET = 'no verified domain token yet';

interface Frontend {
  readonly name: string;
  readonly floor: ReturnType<typeof newFloor>;
  readonly world: ReturnType<typeof viewOf>;
}

/**
 * A domain whose members people admit and remove, and a hostile domain-manager that keeps what it had made: rotations
 * that nobody else was shown, and those of a hostile member while that was alone. It shows them to frontends, as does
 * whoever writes Redis, beside a domain-manager that shows what is. The hostile member proves what suits it, of what is
 * shown.
 */
class Walk {
  readonly history: string[] = [];
  readonly #seeded: Seeded;
  readonly #domain: TestDomain;
  readonly #hostile: Hsm;
  readonly #former: Hsm[] = [];
  /** What was made and kept, each from the founding token on. */
  readonly #hidden: Buffer[][] = [];
  /** Whoever made a token of the next generation makes no other. */
  #bound = new Set<string>();
  readonly #honest = showing('honest', []);
  readonly #other = showing('hostile', []);
  readonly #redis = showing('Redis', []);
  #frontends: Frontend[] = [];
  readonly #approved: string[] = [];
  #isOfPeople = false;
  #names = 1;

  constructor(seed: number) {
    this.#seeded = newSeeded(seed);
    const members = this.#seeded.pick([1, 1, 2, 3]);
    this.#domain = new TestDomain({ members });
    this.#names = members;
    this.#hostile = this.#seeded.pick(this.#domain.hsms);
    this.#show();
    this.#note(`${members} members, ${this.#hostile.memberId} is hostile`);
  }

  async step(): Promise<void> {
    const steps: [number, () => Promise<void> | void][] = [
      [4, () => this.#admit()],
      [3, () => this.#remove()],
      [3, () => this.#change(rotation, [this.#domain.scheduler])],
      [
        1,
        () =>
          this.#change({
            name: 'ModifyOperators',
            body: { admit: [newOperator(`o-${this.#domain.generation}`)], remove: [] },
          }),
      ],
      [4, () => this.#hide()],
      [3, () => this.#start()],
      [5, () => this.#prove()],
      [4, () => this.#lie()],
      [2, () => this.#show(true)],
    ];
    let at = this.#seeded.next() * steps.reduce((sum, [weight]) => sum + weight, 0);
    const [, step] = steps.find(([weight]) => (at -= weight) < 0)!;
    await step();
    for (const one of this.#frontends) await this.#assertSafe(one);
  }

  async settle(): Promise<void> {
    if (this.#members.length > 1 && this.#members.includes(this.#hostile)) {
      const preparer = this.#preparers.find((one) => one !== this.#hostile);
      if (preparer !== undefined) this.#removeBy(this.#hostile, preparer);
    }
    await this.#start();
    for (const one of this.#frontends) {
      await one.world.view.hear();
      await this.#assertSafe(one);
      if (this.#isOfPeople) continue;
      for (const hsm of this.#members) await one.world.proves(hsm);
      for (const hsm of this.#members) await one.world.proves(hsm);
      const { view } = one.world;
      if (view.problem !== undefined) throw new Error(`${one.name}: ${view.problem}`);
      const missing = this.#members.filter((hsm) => !view.state!.members.some((m) => m.memberId === hsm.memberId));
      if (missing.length > 0)
        throw new Error(`${one.name} does not use ${missing.map(({ memberId }) => memberId).join()}`);
      if (view.provenGeneration !== this.#domain.generation)
        throw new Error(`${one.name} has ${view.provenGeneration} of ${this.#domain.generation}`);
    }
  }

  async stop(): Promise<void> {
    for (const { world } of this.#frontends) await world[Symbol.asyncDispose]();
  }

  get #members(): Hsm[] {
    return this.#domain.hsms;
  }

  get #preparers(): Hsm[] {
    return this.#members.filter(({ memberId }) => !this.#bound.has(memberId));
  }

  #note(what: string): void {
    this.history.push(what);
  }

  #admit(): void {
    const [by] = this.#preparers;
    if (by === undefined || this.#members.length > 3) return;
    const fresh = this.#domain.newHsm(`hsm-${++this.#names}`);
    fresh.install(this.#domain.tokens);
    this.#members.push(fresh);
    this.#step(admit(fresh), this.#domain.people, by);
  }

  #remove(): void {
    if (this.#members.length < 2) return;
    const leaving = this.#seeded.pick(this.#members);
    const by = this.#preparers.find((one) => one !== leaving);
    if (by !== undefined) this.#removeBy(leaving, by);
  }

  #removeBy(leaving: Hsm, by: Hsm): void {
    this.#members.splice(this.#members.indexOf(leaving), 1);
    this.#former.push(leaving);
    this.#step(remove(leaving.memberId), this.#domain.people, by);
  }

  #change(change: Change, signers = this.#domain.people): void {
    const [by] = this.#preparers;
    if (by !== undefined) this.#step(change, signers, by);
  }

  #step(change: Change, signers: TestDomain['people'], by: Hsm): void {
    this.#domain.clock.advance(2 * HOUR);
    this.#domain.step(change, signers, by);
    this.#bound = new Set();
    this.#note(`${this.#domain.generation}: ${JSON.stringify(change.name)} ${names(change)} by ${by.memberId}`);
    this.#show();
  }

  /** A rotation that the hostile domain-manager has made and keeps; many, by a hostile member that is alone. */
  #hide(): void {
    const domain = this.#domain;
    domain.clock.advance(2 * HOUR);
    if (domain.hsms.length === 1 && domain.hsms[0] === this.#hostile) {
      const genuine = domain.tokens.slice();
      const playing = domain.newHsm(this.#hostile.memberId, this.#hostile.sealedIdentity());
      playing.install(genuine);
      domain.hsms.splice(0, 1, playing);
      const count = this.#seeded.between(1, 12);
      for (let i = 0; i < count; i++) {
        domain.clock.advance(2 * HOUR);
        domain.step(rotation, [domain.scheduler], playing);
      }
      this.#hidden.push(domain.tokens.splice(0, domain.tokens.length, ...genuine));
      domain.hsms.splice(0, 1, this.#hostile);
      this.#note(`chain ${this.#hidden.length} is hidden: ${count} rotations after ${genuine.length}`);
      return;
    }
    const [by] = this.#preparers.length > 1 ? [this.#seeded.pick(this.#preparers)] : [];
    if (by === undefined) return;
    const change = this.#toHide(by);
    this.#hidden.push([
      ...domain.tokens,
      domain.prepare(change, change === rotation ? [domain.scheduler] : domain.people, by),
    ]);
    this.#bound.add(by.memberId);
    this.#note(
      `chain ${this.#hidden.length} is hidden: ${change.name} ${names(change)} after ${domain.generation}, by ${by.memberId}`,
    );
  }

  #toHide(by: Hsm): Change {
    const kind = this.#seeded.next();
    const others = this.#members.filter((one) => one !== by);
    if (kind < 0.8 || this.#members.length < 3) return rotation;
    this.#isOfPeople = true;
    if (kind < 0.9) return remove(this.#seeded.pick(others).memberId);
    const fresh = this.#domain.newHsm(`hsm-${++this.#names}`);
    this.#approved.push(fresh.memberId);
    return admit(fresh);
  }

  #show(anew = false): void {
    this.#honest.tokens = this.#domain.tokens.slice();
    if (!anew) return;
    for (const source of [this.#other, this.#redis]) this.#showSome(source);
  }

  #showSome(source: Shown): void {
    const genuine = this.#domain.tokens;
    const which = this.#seeded.between(0, this.#hidden.length + 1);
    source.tokens =
      which < this.#hidden.length
        ? this.#hidden[which]!
        : which === this.#hidden.length
          ? genuine.slice()
          : genuine.slice(0, this.#seeded.between(1, genuine.length));
    this.#note(
      `${source.address} shows ${which < this.#hidden.length ? `chain ${which + 1}` : `${source.tokens.length} genuine`}`,
    );
  }

  async #start(): Promise<void> {
    this.#show(true);
    const before =
      this.#frontends.length > 0 && this.#seeded.next() < 0.4 ? this.#seeded.pick(this.#frontends) : undefined;
    if (before !== undefined) {
      await before.world[Symbol.asyncDispose]();
      this.#frontends.splice(this.#frontends.indexOf(before), 1);
    }
    if (this.#frontends.length > 2) return;
    const floor = before?.floor ?? newFloor();
    const copies = [this.#honest, this.#other, this.#redis];
    const world = viewOf(this.#domain, copies.slice(0, 2), { stored: this.#redis, floor, workers: 3 });
    const name = before?.name ?? `frontend-${this.history.length}`;
    this.#note(`${name} starts${before === undefined ? '' : ' again'}`);
    this.#frontends.push({ name, floor, world });
    await until(() => world.view.problem !== NOTHING_YET && !world.view.problem?.includes('nobody the one before'));
    this.#note(`${name}: ${world.view.problem ?? used(world.view)}`);
  }

  async #prove(): Promise<void> {
    if (this.#frontends.length === 0) return;
    const { name, world } = this.#seeded.pick(this.#frontends);
    const honest = this.#members.filter((one) => one !== this.#hostile);
    if (honest.length === 0) return;
    const hsm = this.#seeded.pick(honest);
    const isUsed = await world.proves(hsm);
    this.#note(`${hsm.memberId} proves to ${name} what it has: ${isUsed}`);
  }

  /** Not while it is alone: then its word is all there is. */
  async #lie(): Promise<void> {
    if (this.#frontends.length === 0 || this.#members.length < 2) return;
    const { name, world } = this.#seeded.pick(this.#frontends);
    const chains = [this.#honest.tokens, this.#other.tokens, this.#redis.tokens];
    const chain = this.#seeded.pick(chains);
    const generation = this.#seeded.between(1, chain.length);
    const liar = this.#seeded.pick([this.#hostile, this.#hostile, ...this.#former]);
    const isUsed = await world.proves(liar, proofOf({ generation, token: chain[generation - 1]! }));
    this.#note(`${liar.memberId} proves ${generation} of chain ${chains.indexOf(chain)} to ${name}: ${isUsed}`);
  }

  async #assertSafe({ name, floor, world: { view } }: Frontend): Promise<void> {
    await view.hear();
    const genuine = this.#domain.tokens;
    const { lowest } = floor;
    if (
      lowest !== undefined &&
      !genuine.some((token) => Buffer.compare(proofOf({ generation: 1, token }).tokenHash, lowest.hash) === 0)
    )
      throw new Error(`${name} has a token in its floor that is not the domain's: ${lowest.generation}`);
    const members = this.#members.map(({ memberId }) => memberId);
    const wrong =
      view.state?.members.filter(({ memberId }) => ![...members, ...this.#approved].includes(memberId)) ?? [];
    if (wrong.length > 0) throw new Error(`${name} uses ${wrong.map(({ memberId }) => memberId).join()}`);
    if (members.length > 1 && view.isOfOne) throw new Error(`${name} takes one member for all`);
  }
}

const admit = (hsm: Hsm): Change => ({ name: 'ModifyMembers', body: { admit: [memberOf(hsm)], remove: [] } });
const remove = (id: string): Change => ({ name: 'ModifyMembers', body: { admit: [], remove: [id] } });

function used(view: Frontend['world']['view']): string {
  return `uses ${view.state?.members.map(({ memberId }) => memberId).join()} at ${view.state?.generation}`;
}

function names(change: Change): string {
  if (change.name !== 'ModifyMembers') return '';
  return `+${change.body.admit.map(({ memberId }) => memberId).join()} -${change.body.remove.join()}`;
}

/** Throws with the walk's history. */
export async function walkWithChains(seed: number, steps: number): Promise<void> {
  const walk = new Walk(seed);
  try {
    for (let i = 0; i < steps; i++) await walk.step();
    await walk.settle();
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}\n  ${walk.history.join('\n  ')}`, { cause: error });
  } finally {
    await walk.stop();
  }
}
