import { plaintextPeers } from '@keyfleet/shared/grpc/peers';
import { newTokenSource } from '@keyfleet/proto/token-source';
import { DomainView } from '@keyfleet/frontend/hsm/domain-view';
import { WorkerPool } from '@keyfleet/frontend/hsm/pool';
import { newWorkerClient } from '@keyfleet/frontend/hsm/worker-client';
import { systemClock } from '@keyfleet/shared/clock';
import { verifyChain } from '@keyfleet/shared/domain/chain';
import { boundTo, type NewDomainChange, Proposal } from '@keyfleet/shared/domain/proposal';
import { parseToken, withWitness } from '@keyfleet/shared/domain/token';
import { signCheck } from '@keyfleet/shared/domain/token-check';
import { noNotices } from '@keyfleet/shared/notices';
import { newIdentity } from '@keyfleet/hsm-worker/boundary/identity';
import { type Change, forgedToken, rotation, signedBy, type TestOperator } from '@keyfleet/test-support/domain';
import { eventually } from '@keyfleet/test-support/fleet';
import { type Host, newHost, operatorOf } from '@keyfleet/test-support/session-pair';
import { TestWorkers, type WorkerProcess } from '@keyfleet/test-support/workers';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

// The attacker is the domain-manager, its scheduler key included, and whatever Redis and NATS would tell: everything
// that workers and frontends get is in its hands. Workers are real processes; what it shows them is served by a gRPC
// server that says what we like.
let cluster: TestWorkers;
let first: WorkerProcess;
let second: WorkerProcess;
beforeAll(async () => {
  cluster = await TestWorkers.start(2);
  [first, second] = cluster.workers as [WorkerProcess, WorkerProcess];
});
afterAll(() => cluster[Symbol.asyncDispose]());

/** An HSM of the attacker's, which wants in. */
const mallory = newIdentity('mallory');
const { memberId, signingKey, agreementKey } = mallory;
const newcomer = { memberId, signingKey, agreementKey, encapsulationKey: mallory.encapsulationKey! };

/** The honest chain, as far as it goes; each test begins and ends with it. */
let chain: Buffer[];
beforeEach(() => {
  chain = [...cluster.tokens];
});

function show(...tokens: readonly Buffer[]): void {
  cluster.tokens.splice(0, Infinity, ...tokens);
}

function propose(change: Change, signer: Host, preparer = 'hsm-1'): Buffer {
  const known = verifyChain(cluster.anchor, chain);
  const command = { ...boundTo(known, preparer), ...change } as NewDomainChange;
  return signedBy(command, [signer as TestOperator]);
}

/** What the scheduler may do. The token is confirmed by the other worker, and shown to nobody yet. */
async function prepareRotation(by: WorkerProcess = first): Promise<Buffer> {
  const { token } = await by.prepare(propose(rotation, cluster.scheduler, by.name), chain.at(-1));
  return cluster.witnessed(token!);
}

/** An honest rotation, installed by both workers. */
async function rotate(): Promise<void> {
  chain.push(await prepareRotation());
  show(...chain);
  await Promise.all(cluster.workers.map((worker) => worker.installed(chain.length)));
}

/** Whatever happened: the workers have the honest chain, nothing else, and do their work. */
async function goesOn(): Promise<void> {
  show(...chain);
  await Promise.all(cluster.workers.map((worker) => worker.installed(chain.length)));
  await rotate();
  const { domain, state } = cluster;
  expect(state.members.map((member) => member.memberId)).toEqual(['hsm-1', 'hsm-2']);
  await using pool = new WorkerPool({
    workers: cluster.addresses.map((address) => newWorkerClient(address, plaintextPeers.credentials)),
    host: cluster.host,
    domain,
    clock: systemClock,
    maxInFlight: 10,
    onProblem: () => {},
  });
  const { bytes } = await pool.execute('GenerateRandom', { length: 8 }, Date.now() + 10_000);
  expect(bytes).toHaveLength(8);
}

/** Shows `tokens` as the domain's, until each worker has said that it refuses them, and why. */
async function refusedByAll(tokens: readonly Buffer[], why: string, logged = 'domain token refused'): Promise<void> {
  const before = cluster.workers.map(({ stderr }) => stderr.length);
  const had = await Promise.all(cluster.workers.map(async (worker) => (await worker.describe()).token_hash));
  show(...tokens);
  await eventually(`every worker refuses: ${why}`, () =>
    cluster.workers.every(({ stderr }, i) => {
      const said = stderr.slice(before[i]);
      return said.includes(logged) && said.includes(why);
    }),
  );
  const has = await Promise.all(cluster.workers.map(async (worker) => (await worker.describe()).token_hash));
  expect(has).toEqual(had);
}

describe('a domain-manager that turned against its domain', () => {
  const changes: Record<string, Change> = {
    'a member': { name: 'ModifyMembers', body: { admit: [newcomer], remove: [] } },
    'an operator': {
      name: 'ModifyOperators',
      body: { admit: [{ operatorId: 'mallory', role: 'operator', signingKey }], remove: [] },
    },
    'a rule': {
      name: 'ModifyRules',
      body: {
        rules: [{ command: 'ModifyMembers', alternatives: [[{ role: 'scheduler', minimum: 1 }]] }],
        backupHorizonMs: 0,
      },
    },
  };

  test.each(['DropDomainKeys', 'ReinstateDomainKeys'] as const)('gets no worker to carry out %s', async (name) => {
    const ids = [cluster.state.domainKeys[0]!.id];
    await expect(first.prepare(propose({ name, body: { ids } }, cluster.scheduler), chain.at(-1))).rejects.toThrow(
      'not-enough-signatures',
    );
    await goesOn();
  });

  test.each(Object.entries(changes))('gets no worker to make a token that adds %s', async (_what, change) => {
    for (const worker of cluster.workers) {
      await expect(worker.prepare(propose(change, cluster.scheduler), chain.at(-1))).rejects.toThrow(
        'not-enough-signatures',
      );
      await worker.logged('domain call refused');
    }
    await goesOn();
  });

  test('gets no worker to take a token with a member that its command does not add', async () => {
    const token = await prepareRotation();
    const forged = forgedToken(token, mallory, (header) => ({
      wrappedKeys: header.wrappedKeys.map((key, i) => (i === 0 ? { ...key, memberId } : key)),
    }));
    await refusedByAll([...chain, forged], 'wrong-state');
    await goesOn();
  });

  test('gets no worker to take a token with domain keys of its own', async () => {
    const token = await prepareRotation();
    // The state is the one that the command makes; what is sealed in it comes from the attacker, who is no member.
    await refusedByAll([...chain, forgedToken(token, mallory, () => ({ signerId: 'hsm-1' }))], 'forged');
    await expect(first.install([forgedToken(token, mallory, () => ({ signerId: 'mallory' }))])).rejects.toThrow(
      'forged',
    );
    await goesOn();
  });

  test('gets no worker to take a token that its maker alone answers for', async () => {
    const { made, ...token } = parseToken(await prepareRotation());
    await refusedByAll([...chain, Buffer.from(made)], 'unwitnessed');
    const ofItself = withWitness({ made }, await first.check(Buffer.from(made)));
    await refusedByAll([...chain, ofItself], 'forged');
    const ofStranger = signCheck({ domain: 'test', memberId: 'hsm-2', tokenHash: token.hash }, (message) =>
      mallory.sign(message),
    );
    // The log says each reason once.
    await expect(first.install([withWitness({ made }, ofStranger)])).rejects.toThrow('forged');
    await goesOn();
  });

  test('gets no worker to take half a token, or noise', async () => {
    const token = await prepareRotation();
    for (const damaged of [token.subarray(0, -1), token.subarray(0, 200), Buffer.alloc(500, 7), Buffer.alloc(0)]) {
      await expect(first.install([Buffer.from(damaged)])).rejects.toThrow('malformed');
    }
    await refusedByAll([...chain, token.subarray(0, token.length / 2)], 'malformed');
    await goesOn();
  });

  test('gets no worker to make, take or use a token without a scheduler’s key, though all it shows is true', async () => {
    const stranger = newHost('domain-manager-1');
    const proposal = propose(rotation, cluster.scheduler, 'hsm-2');
    const before = await second.describe();
    for (const attempt of [
      () => second.prepare(proposal, chain.at(-1), stranger),
      () => second.install(chain, stranger),
      () => second.activate(1, stranger),
      () => second.leave(proposal, stranger),
    ]) {
      await expect(attempt()).rejects.toThrow('unauthorized-call');
    }
    expect({ ...(await second.describe()), now: 0 }).toEqual({ ...before, now: 0 });
    await goesOn();
  });

  test('gets no worker to skip a token', async () => {
    const before = [...chain];
    chain.push(await prepareRotation());
    await second.kill();
    show(...chain);
    await first.installed(chain.length);
    // The other one cannot confirm it: a person signs that the word of the first one is enough.
    const alone = propose({ ...rotation, unwitnessed: true } as Change, cluster.operator);
    const afterNext = (await first.prepare(alone, chain.at(-1))).token!;
    show(...before, afterNext);
    await second.start();
    await expect(second.install([afterNext])).rejects.toThrow('skipped');
    await goesOn();
  });

  test('gets no worker to take a token that its own domain-managers do not show', async () => {
    const token = await prepareRotation();
    const { token_hash } = await second.describe();
    await expect(second.install([token])).rejects.toThrow(
      `not-shown: this worker has no domain token ${chain.length + 1}`,
    );
    expect((await second.describe()).token_hash).toEqual(token_hash);
    chain.push(token);
    show(...chain);
    expect(await second.install([token])).toMatchObject({ generation: chain.length });
    await goesOn();
  });

  test('gets no worker to follow another token of a generation than the one it has', async () => {
    const [one, other] = [await prepareRotation(first), await prepareRotation(second)];
    chain.push(one);
    show(...chain);
    await Promise.all(cluster.workers.map((worker) => worker.installed(chain.length)));
    await expect(first.install([other])).rejects.toThrow('forked');
    const before = second.stderr.length;
    const description = await second.describe();
    await expect(second.install([...chain.slice(0, -1), other])).rejects.toThrow('forked');
    expect((await second.describe()).token_hash).toEqual(description.token_hash);
    await eventually('the fork is in the log', () => second.stderr.slice(before).includes('forked'));
    await goesOn();
  });

  test('gets no restarted worker back to an older token: it has its own again', async () => {
    await rotate();
    await first.kill();
    show(...chain.slice(0, -1));
    await first.start();
    // A worker asks for tokens from its own generation on: the attacker also pushes the older ones.
    await expect(first.install(chain.slice(0, -1))).rejects.toThrow('rolled-back');
    expect(await first.describe()).toMatchObject({ generation: chain.length, active_generation: chain.length });
    await goesOn();
  });

  test('gets no worker to leave the domain', async () => {
    const leave: Change = { name: 'LeaveDomain', body: { memberId: 'hsm-1' } };
    await expect(first.leave(propose(leave, cluster.scheduler))).rejects.toThrow('not-enough-signatures');
    await goesOn();
  });
});

describe('a stranger, who has what FetchTokens shows to anyone,', () => {
  test('takes no worker away from the domain: another one than the named makes no token', async () => {
    const token = await prepareRotation(first);
    const proposal = Buffer.from(Proposal.encode(parseToken(token).proposal));
    await expect(second.prepare(proposal, chain.at(-1))).rejects.toThrow('other-preparer');
    chain.push(token);
    await goesOn();
    await second.kill();
    await second.start();
    await goesOn();
  });

  test('gets no second token of a generation, not even of a worker that was killed after the first', async () => {
    const proposal = propose(rotation, cluster.scheduler);
    const current = chain.at(-1);
    const { token } = await first.prepare(proposal, current);
    expect((await first.prepare(proposal, current)).token).toEqual(token);
    await first.kill();
    await first.start();
    await first.installed(chain.length);
    expect((await first.prepare(proposal, current)).token).toEqual(token);
    await goesOn();
  });
});

test('a frontend follows no token that a worker would refuse, says so, and goes on when the chain is honest again', async () => {
  const problems: string[] = [];
  await using view = new DomainView({
    anchor: cluster.anchor,
    floor: { lowest: undefined, raise: async () => {} },
    managers: [newTokenSource(cluster.domainManager, plaintextPeers.credentials)],
    workers: cluster.workers.length,
    notices: noNotices,
    onProblem: (_address, error) => problems.push(String(error)),
  });
  await eventually('the chain is read', async () => view.state !== undefined);
  const honest = view.state!;
  expect(honest.generation).toBe(chain.length);
  const token = await prepareRotation();
  for (const lie of [forgedToken(token, mallory, () => ({ signerId: 'hsm-1' })), token.subarray(0, -9), chain[0]!]) {
    cluster.tokens.splice(chain.length, Infinity, Buffer.from(lie));
    const said = problems.length;
    await view.refresh();
    expect(view.state).toBe(honest);
    expect(problems.length).toBeGreaterThan(said);
  }
  await goesOn();
  await view.refresh();
  expect(view.state!.generation).toBe(chain.length);
});

test('a scheduler that was removed while a member was stopped gets nothing from it once it has started', async () => {
  await using own = await TestWorkers.start(1);
  const [worker] = own.workers as [WorkerProcess];
  const [known] = own.tokens;
  const change: Change = {
    name: 'ModifyOperators',
    body: { admit: [operatorOf(newHost('domain-manager-2'), 'scheduler')], remove: ['domain-manager-1'] },
  };
  const sign = (what: Change, signer: Host): Buffer => {
    const command = { ...boundTo(verifyChain(own.anchor, [known!]), 'hsm-1'), ...what } as NewDomainChange;
    return signedBy(command, [signer as TestOperator]);
  };
  const { token } = await worker.prepare(sign(change, own.operator), known);
  await worker.kill();
  own.tokens.push(token!);
  own.answersAfterMs = 1_500;
  await worker.start();
  for (let i = 0; i < 3; i++) {
    await expect(worker.prepare(sign(rotation, own.scheduler), known)).rejects.toThrow('unauthorized-call');
    await expect(worker.install([known!])).rejects.toThrow('unauthorized-call');
  }
  expect((await worker.describe()).generation).toBe(2);
});
