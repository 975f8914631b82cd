import { Proposals } from '@keyfleet/domain-manager/proposals';
import { ResealPasses } from '@keyfleet/domain-manager/reseal-passes';
import { Round } from '@keyfleet/domain-manager/round';
import { MemoryStore } from '@keyfleet/domain-manager/store/memory-store';
import { DomainManagerEvents } from '../../services/domain-manager/src/events.ts';
import { refusalOf } from '@keyfleet/domain-manager/scheduled-changes';
import type { DomainStore } from '@keyfleet/domain-manager/store/store';
import { Sightings } from '@keyfleet/domain-manager/sightings';
import { TokenLog } from '@keyfleet/domain-manager/token-log';
import { type Worker, WorkerRefusedError } from '@keyfleet/domain-manager/workers';
import { randomBytes } from 'node:crypto';
import {
  boundTo,
  boundToNothing,
  type NewDomainChange,
  newProposal,
  Proposal,
  signProposal,
} from '@keyfleet/shared/domain/proposal';
import type { Clock } from '@keyfleet/shared/clock';
import { signCall } from '@keyfleet/shared/domain/domain-call';
import { type DomainToken, parseToken } from '@keyfleet/shared/domain/token';
import { createLog } from '@keyfleet/shared/log';
import type { ResealItem } from '@keyfleet/shared/reseal-queue';
import { Hsm, type HsmOptions } from '@keyfleet/hsm-worker/boundary/hsm';
import { DomainCalls } from '@keyfleet/hsm-worker/domain-calls';
import {
  type Change,
  leavesAlone,
  memberOf,
  newOperator,
  TestClock,
  type TestOperator,
  testRules,
  testSealKey,
} from './domain.ts';
import { checkedBy } from './token-verdict.ts';

// Domain-managers without a network: a store in memory, and workers that are real HSMs in this process.

export const DAY = 24 * 3_600_000;

class Events extends DomainManagerEvents {
  override memberIsLate({ address }: Worker, problem: string): void {
    world.late.push(`${address} ${problem}`);
  }
}
const events = new Events(createLog({ name: 'test', level: 'silent' }));
export const alice = newOperator('alice');
export const bob = newOperator('bob');
export const scheduler = newOperator('scheduler-1', 'scheduler');
export const anchor = { domain: 'test', minimum: 2, operators: [alice, bob] };

/** A worker without a network: a real HSM, which can be out of reach. */
export class LocalWorker implements Worker {
  readonly address: string;
  readonly hsm: Hsm;
  down = false;
  installFails = false;
  /** Handed out instead of the token that it should make. */
  forged: Buffer | undefined;
  /** Given out instead of the token that it holds. */
  gives: Buffer | undefined;
  /** How often it was asked for that. */
  given = 0;
  readonly #clock: TestClock;
  readonly #held = new Map<number, Uint8Array>();
  /** Its false statements about itself. */
  claims: Partial<ReturnType<Hsm['describe']>> = {};

  constructor(
    memberId: string,
    clock: TestClock,
    options: Pick<HsmOptions, 'rotationPauseMs' | 'sealedIdentity' | 'heldTokens'> = {},
  ) {
    this.address = `${memberId}:1`;
    this.#clock = clock;
    const clocks = { clock, monotonicClock: clock };
    this.hsm = new Hsm({ memberId, anchor, sealKey: testSealKey, ...clocks, random: randomBytes, ...options });
  }
  async describe() {
    return this.#reach(() => this.#said());
  }
  async prepare(proposal: Uint8Array, current: Uint8Array | undefined) {
    return this.#call(() => this.forged ?? this.hsm.prepare(proposal, current));
  }
  async check(token: Uint8Array) {
    return this.#reach(() => {
      const { hsm } = this;
      const subject = { domain: anchor.domain, method: 'CheckDomainToken', memberId: hsm.memberId } as const;
      const call = signCall({ ...subject, request: [token] }, world.scheduler, this.#clock.now());
      return checkedBy(hsm, token, new DomainCalls({ hsm, anchor, clock: this.#clock }).assertCheck(call, token));
    });
  }
  async install(tokens: readonly Uint8Array[]) {
    if (this.installFails) throw new Error('killed');
    return this.#reach(() => {
      this.#keep(this.hsm.install(tokens));
      return this.#said();
    });
  }
  async heldToken(generation: number) {
    this.given++;
    return this.#reach(() => this.gives ?? this.#held.get(generation) ?? Buffer.of());
  }
  /** What takes its place after a restart. */
  restarted(): LocalWorker {
    const heldTokens = [...this.#held.values()];
    const sealedIdentity = this.hsm.sealedIdentity();
    const again = new LocalWorker(this.hsm.memberId, this.#clock, { sealedIdentity, heldTokens });
    again.#keep(heldTokens.map(parseToken));
    return again;
  }
  #keep(tokens: readonly DomainToken[]) {
    for (const { state, bytes } of tokens) this.#held.set(state.generation, bytes);
  }
  async activate(generation: number) {
    return this.#call(() => (this.hsm.activate(generation), this.#said()));
  }
  async leave(proposal: Uint8Array) {
    return this.#call(() => (this.hsm.leave(proposal).succeed(), this.hsm.describe()));
  }
  #said() {
    return { ...this.hsm.describe(), ...this.claims };
  }
  /** What only a scheduler may ask. Not the installing: a worker looks for tokens by itself, too. */
  #call<T>(answer: () => T): T {
    return this.#reach(() => {
      const { state } = this.hsm;
      const refusal = state && refusalOf(world.scheduler, state);
      if (refusal !== undefined) throw new Error(refusal);
      return answer();
    });
  }
  #reach<T>(answer: () => T): T {
    if (this.down) throw new Error('unreachable');
    try {
      return answer();
    } catch (cause) {
      throw new WorkerRefusedError((cause as Error).message, { cause });
    }
  }
}

/** What replicas share, and what a test may change. */
export const world = newWorld();

interface World {
  clock: TestClock;
  /** Goes with `clock` unless the test sets another. */
  monotonicClock: Clock;
  store: DomainStore & Pick<MemoryStore, 'report'>;
  workers: LocalWorker[];
  /** Whose key the domain-managers have. */
  scheduler: TestOperator;
  /** Generations in notices. */
  published: number[];
  /** What frontends are asked to reseal. */
  asked: ResealItem[];
  /** Log lines about members that do not change over. */
  late: string[];
}

function newWorld(): World {
  const clock = new TestClock();
  const workers = ['hsm-1', 'hsm-2', 'hsm-3'].map((memberId) => new LocalWorker(memberId, clock));
  const heard = { published: [], asked: [], late: [] };
  return { clock, monotonicClock: clock, store: new MemoryStore(clock), workers, scheduler, ...heard };
}

/** For `beforeEach`. */
export function resetWorld(): void {
  Object.assign(world, newWorld());
}

export interface Replica {
  readonly tokens: TokenLog;
  readonly proposals: Proposals;
  readonly round: Round;
}

/** A domain-manager on the shared store and the shared workers. */
export function newReplica(): Replica {
  const { store, clock, monotonicClock, workers, scheduler } = world;
  const tokens = new TokenLog({ store, anchor, clock, monotonicClock });
  const proposals = new Proposals({ store, tokens, anchor, clock });
  const notices = {
    publish: async (_notice: string, payload: object) => {
      world.published.push((payload as { generation: number }).generation);
      return true;
    },
  };
  const clocks = { clock, monotonicClock };
  const resealing = new ResealPasses({ store, ...clocks, publish: async (items) => world.asked.push(...items) > 0 });
  const sightings = new Sightings({ tokens, store, scheduler, ...clocks });
  const kept = { tokens, store, proposals, resealing, sightings };
  const around = { dueWork: { ask: async () => {} }, workers, notices, clock, events };
  return { tokens, proposals, round: new Round({ ...kept, ...around, scheduler, rotateEveryMs: DAY }) };
}

export function signed(command: NewDomainChange, signers: readonly (typeof alice)[]): Buffer {
  return Proposal.encode(signers.reduce(signProposal, newProposal(command)));
}

/** A change of the domain as `replica` knows it; one that leaves its preparer alone needs no witness, as by the CLI. */
export function command({ tokens }: Pick<Replica, 'tokens'>, change: Change, preparer = 'hsm-1'): NewDomainChange {
  const { state } = tokens.head!;
  const unwitnessed = leavesAlone(change, state.members, preparer);
  return { ...boundTo(tokens.head!, preparer), unwitnessed, ...change } as NewDomainChange;
}

export function creation(): NewDomainChange {
  const body = {
    members: world.workers.slice(0, 2).map(({ hsm }) => memberOf(hsm)),
    operators: [alice, bob, scheduler],
    rules: testRules,
    backupHorizonMs: 0,
  };
  return { ...boundToNothing('test', 'hsm-1'), name: 'CreateDomain', body };
}

export async function foundedReplica(): Promise<Replica> {
  const replica = newReplica();
  await replica.proposals.propose(signed(creation(), [alice, bob]));
  await replica.round.run();
  return replica;
}

/** The same with hsm-3 admitted, at generation 2. */
export async function grownReplica(): Promise<Replica> {
  const replica = await foundedReplica();
  const body = { admit: [memberOf(world.workers[2]!.hsm)], remove: [] };
  await replica.proposals.propose(signed(command(replica, { name: 'ModifyMembers', body }), [alice, bob]));
  for (let i = 0; i < 3; i++) await replica.round.run();
  return replica;
}

/** Acts as the frontends that took the items: `found` is the result of each shard. */
async function work(found: (item: ResealItem) => { resealed: number; remaining: number }): Promise<void> {
  for (const item of world.asked.splice(0))
    await world.store.report(item, { ...found(item), parts: 1, standing: 'done' });
}

/** Runs rounds until nothing more is asked. */
export async function runPass({ round }: Replica, resealed: number, remaining = 0): Promise<void> {
  await round.run();
  await round.run();
  await work(({ shard }) => (shard === 0 ? { resealed, remaining } : { resealed: 0, remaining: 0 }));
}

export async function rotated(): Promise<Replica> {
  const replica = await foundedReplica();
  world.clock.advance(DAY);
  await replica.round.run();
  return replica;
}

export function domainKeys({ tokens }: Replica): string[] {
  return tokens.head!.state.domainKeys.map(({ createdGeneration, status }) => `${createdGeneration} ${status}`);
}

export function generations(): number[] {
  return world.workers.slice(0, 2).map(({ hsm }) => hsm.describe().generation);
}
export function sealing(): number[] {
  return world.workers.slice(0, 2).map(({ hsm }) => hsm.describe().activeGeneration);
}
