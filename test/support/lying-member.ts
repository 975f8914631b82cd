import { randomBytes } from 'node:crypto';
import { needsWitness } from '@keyfleet/shared/domain/witness';
import { parseDomainChange } from '@keyfleet/shared/domain/proposal';
import { parseToken, withWitness } from '@keyfleet/shared/domain/token';
import { signCheck, signHeld } from '@keyfleet/shared/domain/token-check';
import { Hsm } from '@keyfleet/hsm-worker/boundary/hsm';
import { openIdentity } from '@keyfleet/hsm-worker/boundary/identity';
import { memberOf, sealedNotFor, testSealKey, withOtherKeys } from './domain.ts';
import { anchor, LocalWorker, world } from './replicas.ts';
import type { Seeded } from './seeded.ts';

const lies = {
  /** Of itself. */
  describes: ['truth', 'newest', 'ahead', 'behind', 'another'],
  /** Asked whether it can open a token. */
  checks: ['truth', 'signs', 'holds', 'refuses', 'silent'],
  /** Asked for the next token. */
  makes: ['truth', 'anew', 'otherKeys', 'notForOne', 'silent'],
  /** Asked for a token that it holds. */
  gives: ['truth', 'nothing', 'any'],
  /** Brought tokens. */
  takes: ['truth', 'nothing'],
} as const;

type Lies = { -readonly [K in keyof typeof lies]: (typeof lies)[K][number] };

/** A member that lies, now in one way and now in another, and at first tells the truth. */
export class LyingMember extends LocalWorker {
  readonly #seeded: Seeded;
  #lies: Lies = { describes: 'truth', checks: 'truth', makes: 'truth', gives: 'truth', takes: 'truth' };
  /** Tokens that it made or was shown, whatever became of them, by generation. */
  readonly #seen = new Map<number, Buffer[]>();
  /** As it was before it made its last token. */
  #unbound: Buffer | undefined;

  constructor(memberId: string, seeded: Seeded) {
    super(memberId, world.clock);
    this.#seeded = seeded;
  }

  /** Returns what it does from now on. */
  changeItsMind(): Readonly<Lies> {
    const choose = <K extends keyof Lies>(kind: K): Lies[K] =>
      this.#seeded.pick<Lies[K]>(lies[kind] as readonly Lies[K][]);
    this.#lies = {
      describes: choose('describes'),
      checks: choose('checks'),
      makes: choose('makes'),
      gives: choose('gives'),
      takes: this.#seeded.next() < 0.8 ? 'truth' : 'nothing',
    };
    return this.#lies;
  }

  override async describe() {
    const said = await super.describe();
    const newest = await world.store.loadTokens(0, 1000);
    switch (this.#lies.describes) {
      case 'newest':
        return { ...said, generation: newest.length, tokenHash: parseToken(newest.at(-1)!).hash };
      case 'ahead':
        return { ...said, generation: newest.length + 2, tokenHash: randomBytes(32) };
      case 'behind':
        return { ...said, generation: Math.max(1, newest.length - 1), tokenHash: randomBytes(32) };
      case 'another':
        return { ...said, ...memberOf(this.#seeded.pick(world.workers).hsm) };
      case 'truth':
        return said;
    }
  }

  override async prepare(proposal: Uint8Array, current: Uint8Array | undefined) {
    if (this.#lies.makes === 'silent') throw new Error('unreachable');
    this.#unbound ??= this.hsm.sealedIdentity();
    const made = await (this.#lies.makes === 'anew'
      ? this.#another(proposal, current)
      : super.prepare(proposal, current));
    this.#see(made);
    if (this.#lies.makes === 'otherKeys') return this.#see(withOtherKeys(made, this.#identity));
    if (this.#lies.makes !== 'notForOne') return made;
    const victim = this.#seeded.pick(parseToken(made).state.members).memberId;
    return victim === this.hsm.memberId ? made : this.#see(sealedNotFor([victim], made, this.#identity));
  }

  override async check(token: Uint8Array) {
    if (!this.down) this.#see(Buffer.from(token));
    switch (this.#lies.checks) {
      case 'truth':
        return super.check(token);
      case 'signs':
        return this.#signedCheck(token);
      case 'holds': {
        const { domain, generation } = parseToken(token).state;
        const held = { domain, memberId: this.hsm.memberId, generation, tokenHash: randomBytes(32) };
        return signHeld(held, (message) => this.#identity.sign(message));
      }
      case 'refuses':
        return Buffer.from('no check');
      case 'silent':
        throw new Error('unreachable');
    }
  }

  override async install(tokens: readonly Uint8Array[]) {
    for (const token of tokens) this.#see(Buffer.from(token));
    if (this.#lies.takes === 'nothing') return this.describe();
    try {
      await super.install(tokens);
      this.#unbound = undefined;
    } catch {
      // It says what it likes.
    }
    return this.describe();
  }

  override async heldToken(generation: number) {
    if (this.#lies.gives === 'truth') return super.heldToken(generation);
    const seen = this.#lies.gives === 'any' ? this.#seen.get(generation) : undefined;
    return seen === undefined ? Buffer.of() : this.#confirmed(this.#seeded.pick(seen));
  }

  /** With its own signature, whatever it is. */
  #confirmed(token: Buffer): Buffer {
    const parsed = parseToken(token);
    const { proposal, signerId, state, witness } = parsed;
    if (witness !== undefined || signerId === this.hsm.memberId) return token;
    if (!needsWitness(state.members, parseDomainChange(proposal.command), signerId)) return token;
    return withWitness(parsed, this.#signedCheck(token));
  }

  #signedCheck(token: Uint8Array): Buffer {
    const { state, hash } = parseToken(token);
    const check = { domain: state.domain, memberId: this.hsm.memberId, tokenHash: hash };
    return signCheck(check, (message) => this.#identity.sign(message));
  }

  /** A second token of the generation, where it has made one. */
  #another(proposal: Uint8Array, current: Uint8Array | undefined): Buffer {
    const clocks = { clock: world.clock, monotonicClock: world.clock };
    const common = { anchor, sealKey: testSealKey, ...clocks, random: randomBytes };
    const twin = new Hsm({ memberId: this.hsm.memberId, ...common, sealedIdentity: this.#unbound! });
    if (current !== undefined) twin.install([current]);
    return twin.prepare(proposal, current);
  }

  get #identity() {
    return openIdentity(this.hsm.sealedIdentity(), testSealKey).identity;
  }

  #see(token: Buffer): Buffer {
    const { generation } = parseToken(token).state;
    const seen = this.#seen.get(generation) ?? [];
    this.#seen.set(generation, [...seen, token].slice(-12));
    return token;
  }
}
