import { type DomainCommand, newProposal, Proposal, signProposal } from '@keyfleet/shared/domain/proposal';
import { createLog } from '@keyfleet/shared/log';
import type { ResealItem } from '@keyfleet/shared/reseal-queue';
import { randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, test } from 'vitest';
import { Hsm } from '@keyfleet/hsm-worker/boundary/hsm';
import { memberOf, newOperator, TestClock, testRules, testSealKey } from '../../../test/support/domain.ts';
import { Proposals } from './proposals.ts';
import { Resealing } from './reseal.ts';
import { Round } from './round.ts';
import { MemoryStore } from './store/memory-store.ts';
import { TokenLog, TokenLogError } from './token-log.ts';
import { type Worker, WorkerRefusedError } from './workers.ts';

const DAY = 24 * 3_600_000;
const log = createLog({ name: 'test', level: 'silent' });
const alice = newOperator('alice');
const bob = newOperator('bob');
const scheduler = newOperator('scheduler-1', 'scheduler');
const anchor = { domain: 'test', minimum: 2, operators: [alice, bob] };

/** A worker without a network: a real HSM, which can be out of reach. */
class LocalWorker implements Worker {
  readonly address: string;
  readonly hsm: Hsm;
  down = false;
  installFails = false;
  /** What it hands out instead of the token it should make. */
  forged: Buffer | undefined;

  constructor(memberId: string, clock: TestClock) {
    this.address = `${memberId}:1`;
    this.hsm = new Hsm({ memberId, anchor, sealKey: testSealKey, clock, random: randomBytes });
  }
  async describe() {
    return this.#reach(() => this.hsm.describe());
  }
  async prepare(proposal: Uint8Array, current: Uint8Array | undefined) {
    return this.#reach(() => this.forged ?? this.hsm.prepare(proposal, current));
  }
  async install(tokens: readonly Uint8Array[]) {
    if (this.installFails) throw new Error('killed');
    return this.#reach(() => (this.hsm.install(tokens), this.hsm.describe()));
  }
  async activate(generation: number) {
    return this.#reach(() => (this.hsm.activate(generation), this.hsm.describe()));
  }
  async leave(proposal: Uint8Array) {
    return this.#reach(() => (this.hsm.leave(proposal), this.hsm.describe()));
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

let clock: TestClock;
let store: MemoryStore;
let workers: LocalWorker[];
let published: number[];
let asked: ResealItem[];

interface Replica {
  readonly tokens: TokenLog;
  readonly proposals: Proposals;
  readonly round: Round;
}

/** A domain-manager on the shared store and the shared workers. */
function newReplica(): Replica {
  const tokens = new TokenLog(store, anchor);
  const proposals = new Proposals({ store, tokens, anchor, clock });
  const notices = {
    publish: async (_notice: string, payload: object) => {
      published.push((payload as { generation: number }).generation);
      return true;
    },
  };
  const resealing = new Resealing({ store, clock, publish: async (items) => asked.push(...items) > 0 });
  const dueWork = { ask: async () => {} };
  const deps = {
    tokens,
    store,
    proposals,
    resealing,
    dueWork,
    workers,
    notices,
    clock,
    log,
    scheduler,
    rotateEveryMs: DAY,
  };
  return { tokens, proposals, round: new Round(deps) };
}

function signed(command: DomainCommand, signers: readonly (typeof alice)[]): Buffer {
  return Proposal.encode(signers.reduce(signProposal, newProposal(command)));
}

function creation(): DomainCommand {
  const body = {
    members: workers.slice(0, 2).map(({ hsm }) => memberOf(hsm)),
    operators: [alice, bob, scheduler],
    rules: testRules,
    backupHorizonMs: 0,
  };
  return { domain: 'test', generation: 0, name: 'CreateDomain', body };
}

async function foundedReplica(): Promise<Replica> {
  const replica = newReplica();
  await replica.proposals.propose(signed(creation(), [alice, bob]));
  await replica.round.run();
  return replica;
}

function generations(): number[] {
  return workers.slice(0, 2).map(({ hsm }) => hsm.describe().generation);
}
function sealing(): number[] {
  return workers.slice(0, 2).map(({ hsm }) => hsm.describe().activeGeneration);
}

beforeEach(() => {
  clock = new TestClock();
  store = new MemoryStore(clock);
  workers = ['hsm-1', 'hsm-2', 'hsm-3'].map((memberId) => new LocalWorker(memberId, clock));
  published = [];
  asked = [];
});

describe('the ceremony', () => {
  test('the domain begins when enough founders have signed, and not before', async () => {
    const { proposals, round } = newReplica();
    const { proposalId } = await proposals.propose(signed(creation(), [alice]));
    await round.run();
    expect(generations()).toEqual([0, 0]);

    const command = Proposal.decode(signed(creation(), [bob]));
    await proposals.approve(proposalId, command.signatures[0]!);
    await round.run();
    expect(generations()).toEqual([1, 1]);
    expect(sealing()).toEqual([1, 1]);
    expect(published).toEqual([1]);
    expect(proposals.standingOf((await proposals.list())[0]!)).toEqual({ standing: 'done', generation: 1 });
  });

  test('a worker the command does not name is shown as asking to join, and gets nothing', async () => {
    const { round } = await foundedReplica();
    await round.run();
    expect(round.views.map(({ standing }) => standing)).toEqual(['member', 'member', 'asking-to-join']);
    expect(workers[2]!.hsm.describe().generation).toBe(0);
  });
});

describe('proposals', () => {
  test('without an operator’s valid signature nothing is stored', async () => {
    const { proposals } = newReplica();
    const mallory = newOperator('mallory');
    const impostor = { ...mallory, operatorId: 'alice' };
    for (const signers of [[], [mallory], [impostor], [alice, mallory]]) {
      await expect(proposals.propose(signed(creation(), signers))).rejects.toThrow();
    }
    await expect(proposals.propose(Buffer.from('noise'))).rejects.toThrow('not a canonical');
    expect(await store.listProposals()).toEqual([]);
  });

  test('a proposal for a generation that has passed is refused, and one that waited becomes failed', async () => {
    const { proposals, round } = await foundedReplica();
    const rotate = { domain: 'test', generation: 1, name: 'RotateDomainKeys' as const, body: { drop: [] } };
    const rules = { rules: testRules.slice(0, 4), backupHorizonMs: 0 };
    const modify = { domain: 'test', generation: 1, name: 'ModifyRules' as const, body: rules };
    const waiting = await proposals.propose(signed(modify, [alice]));
    await proposals.propose(signed(rotate, [scheduler]));
    await round.run();
    expect(generations()).toEqual([2, 2]);
    expect(proposals.standingOf((await store.findProposal(waiting.proposalId))!).standing).toBe('failed');
    await expect(proposals.propose(signed(rotate, [scheduler]))).rejects.toThrow('generation 1');
  });

  test('a member that is told to leave by quorum erases itself, once', async () => {
    const { proposals, round } = await foundedReplica();
    const leave = { domain: 'test', generation: 1, name: 'LeaveDomain' as const, body: { memberId: 'hsm-2' } };
    const { proposalId } = await proposals.propose(signed(leave, [alice, bob]));
    workers[1]!.down = true;
    await round.run();
    expect(proposals.standingOf((await store.findProposal(proposalId))!).standing).toBe('ready');
    workers[1]!.down = false;
    await round.run();
    expect(proposals.standingOf((await store.findProposal(proposalId))!).standing).toBe('done');
    const fresh = workers[1]!.hsm.describe();
    expect(fresh).toMatchObject({ memberId: 'hsm-2', domain: '', activeGeneration: 0 });
    await round.run();
    expect(workers[1]!.hsm.describe().signingKey).toEqual(fresh.signingKey);
    expect(workers[0]!.hsm.describe().activeGeneration).toBe(1);
  });

  test('a change that makes no valid state is refused before anyone else signs it', async () => {
    const { proposals } = await foundedReplica();
    const body = { admit: [], remove: ['nobody'] };
    const command = { domain: 'test', generation: 1, name: 'ModifyMembers' as const, body };
    await expect(proposals.propose(signed(command, [alice]))).rejects.toThrow('nobody cannot be removed');
  });

  test('a token that does not verify is not stored, whoever made it, and another member is asked', async () => {
    const { proposals, round, tokens } = await foundedReplica();
    workers[0]!.forged = Buffer.from(tokens.head!.token);
    clock.advance(DAY);
    await round.run();
    expect(tokens.generation).toBe(2);
    expect(generations()).toEqual([2, 2]);
    expect(await proposals.list()).toHaveLength(1);
  });
});

describe('rotation', () => {
  test('the scheduler rotates when the active key is old enough, once', async () => {
    const { round } = await foundedReplica();
    clock.advance(DAY - 1);
    await round.run();
    expect(generations()).toEqual([1, 1]);
    clock.advance(1);
    await round.run();
    await round.run();
    expect(generations()).toEqual([2, 2]);
    expect(sealing()).toEqual([2, 2]);
    expect(published).toEqual([1, 2]);
  });

  test('no member seals under the new key before every reachable member holds it', async () => {
    const { round } = await foundedReplica();
    workers[1]!.installFails = true;
    clock.advance(DAY);
    await round.run();
    expect(generations()).toEqual([2, 1]);
    expect(sealing()).toEqual([1, 1]);

    // Not finished: the next one is not begun.
    clock.advance(DAY);
    await round.run();
    expect(generations()).toEqual([2, 1]);

    workers[1]!.installFails = false;
    await round.run();
    expect(generations()).toEqual([3, 3]);
    expect(sealing()).toEqual([3, 3]);
  });

  test('a member that was away for several rotations catches up', async () => {
    const { round } = await foundedReplica();
    workers[1]!.down = true;
    for (let day = 0; day < 3; day++) {
      clock.advance(DAY);
      await round.run();
    }
    expect(sealing()).toEqual([4, 1]);
    workers[1]!.down = false;
    await round.run();
    expect(generations()).toEqual([4, 4]);
    expect(sealing()).toEqual([4, 4]);
  });

  test('a replica that dies after the token is stored leaves the rest to the next leader', async () => {
    await foundedReplica();
    for (const worker of workers) worker.installFails = true;
    clock.advance(DAY);
    await newReplica().round.run();
    expect(generations()).toEqual([1, 1]);
    for (const worker of workers) worker.installFails = false;
    await newReplica().round.run();
    expect(generations()).toEqual([2, 2]);
    expect(sealing()).toEqual([2, 2]);
  });

  test('two replicas that both believe they lead make one token a day', async () => {
    const replicas = [await foundedReplica(), newReplica()];
    for (let day = 2; day <= 6; day++) {
      clock.advance(DAY);
      await Promise.all(replicas.map(({ round }) => round.run()));
      await Promise.all(replicas.map(({ round }) => round.run()));
      expect(generations()).toEqual([day, day]);
    }
    expect(await store.loadTokens(0, 99)).toHaveLength(6);
  });
});

test('a removed member is sent the token that removes it', async () => {
  const { proposals, round } = await foundedReplica();
  const body = { admit: [], remove: ['hsm-2'] };
  const command = { domain: 'test', generation: 1, name: 'ModifyMembers' as const, body };
  await proposals.propose(signed(command, [alice, bob]));
  await round.run();
  expect(round.views[1]!.standing).toBe('removed');
  expect(workers[1]!.hsm.installed).toBeUndefined();
  expect(sealing()).toEqual([2, 0]);
});

test('an admitted worker gets every token there is', async () => {
  const { proposals, round } = await foundedReplica();
  clock.advance(DAY);
  await round.run();
  const body = { admit: [memberOf(workers[2]!.hsm)], remove: [] };
  const command = { domain: 'test', generation: 2, name: 'ModifyMembers' as const, body };
  await proposals.propose(signed(command, [alice, bob]));
  await round.run();
  expect(workers[2]!.hsm.describe()).toMatchObject({ generation: 3, activeGeneration: 2 });
});

describe('a store that went back to an older backup', () => {
  /** The backup that was restored: the first `count` tokens. */
  async function restoreBackup(count: number): Promise<MemoryStore> {
    const backup = new MemoryStore(clock);
    for (const [index, token] of (await store.loadTokens(0, count)).entries())
      await backup.appendToken(index + 1, token);
    return backup;
  }
  async function rotatedTwice(): Promise<void> {
    const { round } = await foundedReplica();
    for (let day = 0; day < 2; day++) {
      clock.advance(DAY);
      await round.run();
    }
  }

  test('gets the lost tokens back from a replica that held them, which says so', async () => {
    await rotatedTwice();
    const all = await store.loadTokens(0, 9);
    for (const count of [0, 1, 2]) {
      const restored: number[] = [];
      const backup = await restoreBackup(count);
      const tokens = new TokenLog(store, anchor, (from, to) => restored.push(from, to));
      await tokens.refresh();
      Object.assign(store, {
        loadTokens: backup.loadTokens.bind(backup),
        appendToken: backup.appendToken.bind(backup),
      });
      await tokens.refresh();
      expect(restored).toEqual([count + 1, 3]);
      expect(await backup.loadTokens(0, 9)).toEqual(all);
      await tokens.refresh();
      expect(restored).toHaveLength(2);
    }
  });

  test('and was built on meanwhile is refused by a replica that held other tokens', async () => {
    await rotatedTwice();
    const { tokens } = newReplica();
    await tokens.refresh();
    const backup = await restoreBackup(1);
    await backup.appendToken(2, Buffer.from('another token 2'));
    Object.assign(store, { loadTokens: backup.loadTokens.bind(backup), appendToken: backup.appendToken.bind(backup) });
    await expect(tokens.refresh()).rejects.toThrow(TokenLogError);
    expect(await backup.loadTokens(0, 9)).toHaveLength(2);
  });

  test('is not built on when only the members know the lost tokens: the status says what to do', async () => {
    await rotatedTwice();
    store = await restoreBackup(1);
    const { round, tokens } = newReplica();
    await round.run();
    expect(round.views[0]!.problem).toContain('restore the store');
    clock.advance(DAY);
    await round.run();
    expect(tokens.generation).toBe(1);
  });
});

describe('resealing', () => {
  /** What frontends do with the items they took: `found` of each shard. */
  async function work(found: (item: ResealItem) => { resealed: number; remaining: number }): Promise<void> {
    for (const item of asked.splice(0)) await store.report(item, found(item));
  }
  /** Rounds until nothing is asked any more. */
  async function runPass({ round }: Replica, resealed: number, remaining = 0): Promise<void> {
    await round.run();
    await round.run();
    await work(({ shard }) => (shard === 0 ? { resealed, remaining } : { resealed: 0, remaining: 0 }));
  }
  async function rotated(): Promise<Replica> {
    const replica = await foundedReplica();
    clock.advance(DAY);
    await replica.round.run();
    return replica;
  }
  function domainKeys({ tokens }: Replica): number[] {
    return tokens.head!.state.domainKeys.map(({ createdGeneration }) => createdGeneration);
  }

  test('after a rotation every shard is asked for once, again only when nobody answers', async () => {
    const replica = await rotated();
    for (let i = 0; i < 3; i++) await replica.round.run();
    expect(new Set(asked.map(({ shard }) => shard)).size).toBe(asked[0]!.shards);
    expect(asked).toHaveLength(asked[0]!.shards);
    clock.advance(60_000);
    await replica.round.run();
    expect(asked).toHaveLength(asked[0]!.shards * 2);
  });

  test('a domain key is destroyed only after a pass that found nothing under older keys', async () => {
    const replica = await rotated();
    await runPass(replica, 7);
    clock.advance(DAY);
    await replica.round.run();
    expect(domainKeys(replica)).toEqual([1, 2, 3]);

    await work(() => ({ resealed: 0, remaining: 0 }));
    await runPass(replica, 3, 1);
    await runPass(replica, 1);
    await runPass(replica, 0);
    await replica.round.run();
    clock.advance(DAY);
    await replica.round.run();
    expect(domainKeys(replica)).toEqual([3, 4]);
    expect(sealing()).toEqual([4, 4]);
  });

  test('while a worker is out of reach no domain key is destroyed', async () => {
    const replica = await rotated();
    await runPass(replica, 0);
    await replica.round.run();
    workers[2]!.down = true;
    clock.advance(DAY);
    await replica.round.run();
    expect(domainKeys(replica)).toEqual([1, 2, 3]);
  });
});
