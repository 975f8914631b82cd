import { plaintextPeers } from '@keyfleet/shared/grpc/peers';
import { credentials } from '@grpc/grpc-js';
import { createDomain } from '@keyfleet/cli/ceremony';
import { DomainManagerClient } from '@keyfleet/cli/domain-manager-client';
import { Hsm } from '@keyfleet/proto';
import type { HsmDescription__Output } from '@keyfleet/proto/gen/keyfleet/hsm/v1/HsmDescription';
import { unary } from '@keyfleet/proto/unary';
import { eventually, type Fleet, newFleet } from '@keyfleet/test-support/fleet';
import { TokenServer } from '@keyfleet/test-support/token-server';
import { verifyChain } from '@keyfleet/shared/domain/chain';
import { boundTo, type NewDomainChange, newProposal, Proposal, signProposal } from '@keyfleet/shared/domain/proposal';
import { encodedPublicKey } from '@keyfleet/shared/domain/signature';
import { parseToken, withWitness } from '@keyfleet/shared/domain/token';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { startGrpcWorker } from '../../services/domain-manager/src/grpc-worker.ts';

async function describeWorker(fleet: Fleet, index: number): Promise<HsmDescription__Output> {
  const client = new Hsm(`127.0.0.1:${fleet.workerPorts[index]}`, credentials.createInsecure());
  try {
    return await unary(client, Hsm.service.Describe, {}, 30_000);
  } finally {
    client.close();
  }
}

/**
 * Every worker of `indexes` holds the newest domain key that is stored, seals under it, and that is generation >=
 * `atLeast`.
 */
async function settled(fleet: Fleet, atLeast: number, indexes = fleet.workers.map((_, index) => index)) {
  let generation = 0;
  await eventually(`generation ${atLeast} is used by workers ${indexes.join()}`, async () => {
    const described = await Promise.all(indexes.map((index) => describeWorker(fleet, index)));
    generation = described[0]?.generation ?? 0;
    return described.every(
      (one) => one.generation === generation && one.active_generation === generation && generation >= atLeast,
    );
  });
  return generation;
}

test('after the ceremony every worker holds the domain key, and everything killed at once comes back with it', async () => {
  await using fleet = await newFleet();
  await fleet.startAll();
  await fleet.found();
  await settled(fleet, 1);
  const holdings = () =>
    Promise.all([0, 1].map(async (index) => ({ ...(await describeWorker(fleet, index)), now: 0 })));
  const before = await holdings();

  await fleet.end('SIGKILL');
  await fleet.redis.kill();
  await fleet.nats.kill();
  await fleet.redis.restart();
  await fleet.nats.restart();
  await fleet.startAll();
  await settled(fleet, 1);
  expect(await holdings()).toEqual(before);
});

test('a domain is founded once another of its first members is there to confirm the first token', async () => {
  await using fleet = await newFleet();
  await fleet.startAll();
  await fleet.workers[1]!.end('SIGKILL');
  using client = new DomainManagerClient(fleet.manager(), plaintextPeers.credentials);
  const whenItWaits = async () => {
    await eventually('it says what it waits for', async () => {
      const [proposed] = await client.listProposals();
      return proposed?.reason.includes('start one of hsm-2, or found the domain without them') ?? false;
    });
    expect((await client.fetchChain(fleet.anchor)).tokens).toEqual([]);
    fleet.workers[1]!.start();
  };
  await Promise.all([fleet.found(), whenItWaits()]);
  await settled(fleet, 1);
});

test('domain keys rotate on schedule, and a member that was down for several rotations catches up', async () => {
  await using fleet = await newFleet({ workers: 3, rotateEvery: '2s' });
  await fleet.startAll();
  await fleet.found();
  await settled(fleet, 2);
  await fleet.workers[1]!.end('SIGKILL');
  const before = (await describeWorker(fleet, 0)).generation ?? 0;
  await settled(fleet, before + 2, [0, 2]);
  fleet.workers[1]!.start();
  await settled(fleet, before + 3);

  using client = new DomainManagerClient(fleet.manager(), plaintextPeers.credentials);
  const { state } = await client.getDomain(fleet.anchor);
  expect(state.domainKeys).toHaveLength(state.generation);
});

test('another replica goes on rotating when the leader is killed', async () => {
  await using fleet = await newFleet({ managers: 2, rotateEvery: '1s' });
  await fleet.startAll();
  await fleet.found();
  await settled(fleet, 2);
  using clients = new DisposableStack();
  const [first, second] = [0, 1].map((index) =>
    clients.use(new DomainManagerClient(fleet.manager(index), plaintextPeers.credentials)),
  );
  const { leader, replica } = await first!.status();
  const [leading, following] = leader === replica ? [0, second!] : [1, first!];
  await fleet.managers[leading]!.end('SIGKILL');
  const { generation } = (await following.getDomain(fleet.anchor)).state;
  await settled(fleet, generation + 2);
});

test('a domain-manager whose scheduler is removed lets another lead, and says why it does not', async () => {
  await using fleet = await newFleet({ managers: 2, rotateEvery: '2s' });
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  const second = {
    operatorId: 'domain-manager-2',
    role: 'scheduler' as const,
    signingKey: encodedPublicKey(privateKey),
  };
  writeFileSync(fleet.path('second.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  const configFile = fleet.path('domain-manager-2.json');
  const schedulerKey = { operatorId: second.operatorId, file: fleet.path('second.pem') };
  writeFileSync(configFile, JSON.stringify({ ...JSON.parse(readFileSync(configFile, 'utf8')), schedulerKey }));
  await fleet.startAll();
  using client = new DomainManagerClient(fleet.manager(0), plaintextPeers.credentials);
  using other = new DomainManagerClient(fleet.manager(1), plaintextPeers.credentials);
  const founding = fleet.founding();
  await createDomain(client, { ...founding, operators: [...founding.operators, second] }, fleet.people);
  await settled(fleet, 2);

  const { leader } = await client.status();
  const leads = (await client.status()).replica === leader ? client : other;
  const removed = leads === client ? fleet.scheduler.operatorId : second.operatorId;
  await eventually('it is removed', async () => {
    const change = { name: 'ModifyOperators' as const, body: { admit: [], remove: [removed] } };
    const known = await client.getDomain(fleet.anchor);
    if (known.state.operators.every(({ operatorId }) => operatorId !== removed)) return true;
    const proposal = newProposal({ ...boundTo(known, known.state.members[0]!.memberId), ...change } as NewDomainChange);
    await client.propose(fleet.people.reduce(signProposal, proposal));
    return false;
  });
  await eventually('the other one leads', async () => ![leader, ''].includes((await client.status()).leader));
  const { state } = await client.getDomain(fleet.anchor);
  await settled(fleet, state.generation + 1);
  expect((await leads.status()).scheduler_problem).toContain(`${removed} is no scheduler in the newest domain token`);
  expect((await (leads === client ? other : client).status()).scheduler_problem).toBe('');
  const log = readFileSync(fleet.path(`domain-manager-${leads === client ? 1 : 2}.log`), 'utf8');
  expect(log.match(/this replica cannot lead/g)).toHaveLength(1);
});

test('the domain still rotates without NATS and with a restarted Redis', async () => {
  await using fleet = await newFleet({ rotateEvery: '1s' });
  await fleet.startAll();
  await fleet.found();
  await fleet.nats.kill();
  const generation = await settled(fleet, 2);
  await fleet.redis.kill();
  await fleet.redis.restart();
  await settled(fleet, generation + 2);
});

test('domain tokens that members took from a hostile domain-manager and that nobody stored become the domain’s', async () => {
  await using fleet = await newFleet();
  await fleet.startAll();
  await fleet.found();
  await settled(fleet, 1);
  using client = new DomainManagerClient(fleet.manager(), plaintextPeers.credentials);
  let known = await client.getDomain(fleet.anchor);
  const tokens = [...(await client.getChain(fleet.anchor)).tokens];
  await fleet.managers[0]!.end('SIGKILL');
  {
    const caller = { credentials: plaintextPeers.credentials, domain: known.state.domain, scheduler: fleet.scheduler };
    using worker = startGrpcWorker(`127.0.0.1:${fleet.workerPorts[0]}`, caller);
    using other = startGrpcWorker(`127.0.0.1:${fleet.workerPorts[1]}`, caller);
    using hostile = await TokenServer.start(fleet.managerPorts[0]);
    const { memberId } = await worker.describe();
    for (const generation of [2, 3]) {
      const unsigned = newProposal({ ...boundTo(known, memberId), name: 'RotateDomainKeys', body: {} });
      const made = await worker.prepare(Proposal.encode(signProposal(unsigned, fleet.scheduler)), tokens.at(-1));
      const token = withWitness(parseToken(made), await other.check(made));
      tokens.push(token);
      // The key alone does not suffice: a worker takes what its domain-managers show.
      await expect(worker.install([token])).rejects.toThrow('not-shown');
      hostile.tokens.splice(0, Infinity, ...tokens);
      for (const one of [worker, other]) expect(await one.install([token])).toMatchObject({ generation });
      known = verifyChain(fleet.anchor, tokens);
    }
  }
  await fleet.workers[0]!.end('SIGKILL');
  fleet.workers[0]!.start();
  fleet.managers[0]!.start();
  await settled(fleet, 3);
});
