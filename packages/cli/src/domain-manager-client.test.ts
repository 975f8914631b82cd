import { status } from '@grpc/grpc-js';
import { plaintextPeers } from '@keyfleet/shared/grpc/peers';
import { DomainManager } from '@keyfleet/proto';
import { monotonicClock } from '@keyfleet/shared/clock';
import { DomainError } from '@keyfleet/shared/domain/domain-error';
import { newProposal, parseProposal, Proposal, proposalId, signProposal } from '@keyfleet/shared/domain/proposal';
import { tokenHash } from '@keyfleet/shared/domain/token';
import { answering, startGrpcServer } from '@keyfleet/shared/grpc/server';
import { PeerLimit } from '@keyfleet/shared/request-limit';
import { type Change, rotation, TestDomain } from '@keyfleet/test-support/domain';
import { expect, test } from 'vitest';
import { DomainManagerClient } from './domain-manager-client.ts';

const domain = new TestDomain();
const removal: Change = { name: 'ModifyMembers', body: { admit: [], remove: ['hsm-2'] } };
const harmless = signProposal(newProposal(domain.command(rotation)), domain.alice);
const harmful = signProposal(newProposal(domain.command(removal)), domain.alice);

const tokensOf = (after: number): Uint8Array[] => domain.tokens.slice(after);

class Problem extends Error {
  readonly details = 'for a moment';
  readonly code: status;

  constructor(code: status) {
    super();
    this.code = code;
  }
}

/**
 * A domain-manager that always returns `shown` under the id of `named`; its tokens are the domain's. First it fails
 * with these `problems`.
 */
async function startLiar(
  shown: Proposal,
  named: Proposal,
  standing = 'collecting',
  tokensAfter = tokensOf,
  problems: status[] = [],
) {
  const answer = answering((error) => error as Problem);
  const message = { proposal_id: proposalId(named), proposal: Proposal.encode(shown), standing };
  const names = Object.keys(DomainManager.service);
  const answerTo = (name: string, { after_generation: after = 0 }: { after_generation?: number }) => {
    const problem = problems.shift();
    if (problem !== undefined) throw new Problem(problem);
    if (name === 'FetchTokens') return { tokens: tokensAfter(after) };
    return name === 'ListProposals' ? { proposals: [message] } : message;
  };
  const limit = { maxBytes: 1_000_000, rate: new PeerLimit(monotonicClock, { perSecond: 100, burst: 100 }) };
  const server = await startGrpcServer({
    address: { host: '127.0.0.1', port: 0 },
    tls: undefined,
    service: DomainManager.service,
    handlers: Object.fromEntries(
      names.map((name) => [name, answer((request) => answerTo(name, request as { after_generation?: number }))]),
    ),
    limits: Object.fromEntries(names.map((name) => [name, limit])) as never,
    isServing: () => true,
    drainMs: 100,
  });
  const client = new DomainManagerClient(`127.0.0.1:${server.port}`, plaintextPeers.credentials);
  return {
    client,
    async [Symbol.asyncDispose]() {
      client[Symbol.dispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

test('a proposal that the domain-manager shows under the id of another is refused, wherever it is shown', async () => {
  await using liar = await startLiar(harmful, harmless);
  const { client } = liar;
  const id = proposalId(harmless);
  await expect(client.listProposals()).rejects.toThrow('trust nothing');
  await expect(client.getProposal(id.slice(0, 32))).rejects.toThrow('trust nothing');
  await expect(client.propose(harmless)).rejects.toThrow('trust nothing');
  await expect(client.approve(id, harmless.signatures[0]!)).rejects.toThrow('trust nothing');
});

test('another proposal than was proposed or approved is refused, even under its own id', async () => {
  await using liar = await startLiar(harmful, harmful);
  const { client } = liar;
  await expect(client.propose(harmless)).rejects.toThrow('trust nothing');
  await expect(client.approve(proposalId(harmless), harmless.signatures[0]!)).rejects.toThrow('trust nothing');
  const [shown] = await client.listProposals();
  expect(shown).toMatchObject({ proposalId: proposalId(harmful), proposal: parseProposal(Proposal.encode(harmful)) });
});

test('a proposal is done when a token of the verified chain holds it, whatever the domain-manager says', async () => {
  await using liar = await startLiar(harmful, harmful, 'done');
  const awaited = () => liar.client.awaitDone(proposalId(harmful), domain.anchor, 0);
  await expect(awaited()).rejects.toThrow('not carried out yet (done, says the domain-manager, without proof)');
  domain.step(removal);
  await expect(awaited()).resolves.toMatchObject({ standing: 'done', generation: domain.generation });
});

test('a proposal is waited for while the domain-manager or its store is away, until the time is over', async () => {
  const { anchor, generation } = domain;
  const away = [status.INTERNAL, status.UNAVAILABLE];
  await using back = await startLiar(harmful, harmful, 'done', tokensOf, [...away]);
  const done = { standing: 'done', generation };
  await expect(back.client.awaitDone(proposalId(harmful), anchor)).resolves.toMatchObject(done);
  await using gone = await startLiar(harmful, harmful, 'done', tokensOf, away);
  await expect(gone.client.awaitDone(proposalId(harmful), anchor, -1)).rejects.toThrow(
    'not carried out yet (the domain-manager is in trouble: for a moment). See: keyfleet domain status',
  );
  await using damaged = await startLiar(harmful, harmful, 'done', tokensOf, [status.DATA_LOSS]);
  await expect(damaged.client.awaitDone(proposalId(harmful), anchor)).rejects.toThrow(/in trouble: for a moment$/);
});

test('a domain-manager that always has a further token is refused at the first that does not follow', async () => {
  await using liar = await startLiar(harmless, harmless, 'collecting', () => domain.tokens);
  await expect(liar.client.fetchChain(domain.anchor)).rejects.toThrow(DomainError);
});

test('a domain that has a checkpoint is not taken for one that is not founded yet', async () => {
  await using liar = await startLiar(harmless, harmless, 'collecting', () => []);
  const checkpoint = { generation: 1, hash: tokenHash(domain.tokens[0]!) };
  const anchor = { ...domain.anchor, checkpoint };
  expect(await liar.client.findDomain(domain.anchor)).toBeUndefined();
  await expect(liar.client.findDomain(anchor)).rejects.toThrow(
    "there is no domain token, and the trust anchor's checkpoint is 1",
  );
});

test('a state goes with the tokens that lead to it, though the next look shows another chain', async () => {
  const chains = [domain.tokens.slice(0, 1), domain.tokens];
  let at = -1;
  const changing = (after: number) => {
    if (after === 0) at++;
    return chains[at]!.slice(after);
  };
  await using liar = await startLiar(harmless, harmless, 'collecting', changing);
  for (const { length } of chains) {
    const { tokens, domain: shown } = await liar.client.getChain(domain.anchor);
    expect([tokens.length, shown.state.generation]).toEqual([length, length]);
  }
});

test('of a proposal as many digits are asked for as nobody makes another one for', async () => {
  await using liar = await startLiar(harmless, harmless);
  const id = proposalId(harmless);
  await expect(liar.client.getProposal(id.slice(0, 31))).rejects.toThrow('give 32 digits of the id');
  expect(await liar.client.getProposal(id.slice(0, 32))).toMatchObject({ proposalId: id });
});

test('a standing that there is none of is shown to nobody: it could read like one of our own lines', async () => {
  await using liar = await startLiar(harmless, harmless, 'Done: the domain is at generation 8.');
  const { client } = liar;
  await expect(client.propose(harmless)).rejects.toThrow('the unknown standing');
  await expect(client.listProposals()).rejects.toThrow('the unknown standing');
});
