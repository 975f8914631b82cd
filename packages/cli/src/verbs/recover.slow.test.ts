import { Server, ServerCredentials, type ServiceError, status } from '@grpc/grpc-js';
import { newOfflineMember } from '@keyfleet/hsm-worker/boundary/offline-member';
import { DomainManager } from '@keyfleet/proto';
import { systemClock } from '@keyfleet/shared/clock';
import { verifyChain } from '@keyfleet/shared/domain/chain';
import { parseProposal, proposalId } from '@keyfleet/shared/domain/proposal';
import { parseToken, TokenEnvelope } from '@keyfleet/shared/domain/token';
import { formatTrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import { type Change, memberOf, rotation, signedBy, TestDomain } from '@keyfleet/test-support/domain';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { keyfleet } from '../keyfleet.ts';
import { runCli } from '../run-cli.ts';

const passphrase = 'tremble lantern';

type Unary = (
  call: { request: { token: Buffer; after_generation?: number } },
  done: (error: Partial<ServiceError> | null, answer?: object) => void,
) => void;

/**
 * A domain-manager that has `tokens`, and one proposal. `store` returns why a token is not stored. `ahead`: its clock,
 * in milliseconds; `workers`: its status of them.
 */
async function startManager(
  tokens: Buffer[],
  proposal: Buffer,
  store: (token: Buffer) => string | void,
  { ahead = 0, workers = [] }: { readonly ahead?: number; readonly workers?: readonly object[] } = {},
) {
  const view = { proposal_id: proposalId(parseProposal(proposal)), proposal, standing: 'ready' };
  const calls: Record<string, Unary> = {
    FetchTokens: ({ request }, done) => done(null, { tokens: tokens.slice(request.after_generation ?? 0) }),
    Status: (_, done) => done(null, { now: systemClock.now() + ahead, workers }),
    ListProposals: (_, done) => done(null, { proposals: [view] }),
    StoreToken({ request }, done) {
      const details = store(request.token);
      if (details === undefined) done(null, { generation: tokens.length + 1 });
      else done({ code: status.ABORTED, details });
    },
  };
  const server = new Server();
  server.addService(DomainManager.service, calls as never);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return { port, id: view.proposal_id, [Symbol.dispose]: () => server.forceShutdown() };
}

/** The order of P-384 (FIPS 186-5): the negative of s is as good as s. */
const ORDER = BigInt(`0x${'f'.repeat(48)}c7634d81f4372ddf581a0db248b0a77aecec196accc52973`);

/** The same token under another valid signature. */
function twinOf(token: Buffer): Buffer {
  const { body, signature } = TokenEnvelope.decode(token);
  const [r, s] = [signature.subarray(0, 48), BigInt(`0x${Buffer.from(signature.subarray(48)).toString('hex')}`)];
  const negative = Buffer.from((ORDER - s).toString(16).padStart(96, '0'), 'hex');
  return TokenEnvelope.encode({ body, signature: Buffer.concat([r, negative]) });
}

/** A domain of `members` workers and an offline member; unless a test says otherwise, the workers are lost. */
async function newSafe(members = 1) {
  const folder = await mkdtempDisposable(join(tmpdir(), 'keyfleet-'));
  const file = (name: string) => join(folder.path, name);
  const domain = new TestDomain({ members });
  const { anchor } = domain;
  const safe = newOfflineMember('safe-1', { anchor, clock: systemClock, random: randomBytes, passphrase });
  domain.step({ name: 'ModifyMembers', body: { admit: [{ ...memberOf(safe.hsm), offline: true }], remove: [] } });
  const { memberId: preparer } = safe.hsm;
  const propose = (change: Change, unwitnessed: boolean) =>
    signedBy({ ...domain.command(change, { preparer }), unwitnessed }, domain.people);
  /** One to replace the workers by another. */
  const replacement = (by: string, unwitnessed = true) =>
    propose(
      {
        name: 'ModifyMembers',
        body: { admit: [memberOf(domain.newHsm(by))], remove: domain.hsms.map(({ memberId }) => memberId) },
      },
      unwitnessed,
    );
  writeFileSync(file('safe'), safe.file());
  writeFileSync(file('anchor'), formatTrustAnchor(anchor));
  writeFileSync(file('passphrase'), passphrase, { mode: 0o600 });
  const printed: string[] = [];
  const note = (text: string) => void printed.push(text);
  const terminal = { write: note, note, askSecret: () => expect.fail() };
  const options = ['--trust-anchor', file('anchor'), '--passphrase-file', file('passphrase')];
  const recoverBy = ({ port, id }: { port: number; id: string }) => {
    const where = ['--domain-manager', `127.0.0.1:${port}`, '--offline-member', file('safe')];
    return runCli(keyfleet(terminal), ['recover', id, ...where, ...options], terminal);
  };
  return {
    domain,
    propose,
    replacement,
    printed,
    recoverBy,
    sealed: () => readFileSync(file('safe')),
    [Symbol.asyncDispose]: () => folder.remove(),
  };
}

// The scrypt of a passphrase takes half a second on an idle core, on purpose.
test(
  'the chain alone says whether a recovery is done, and costs the offline member nothing until then',
  { timeout: 60_000 },
  async () => {
    await using safe = await newSafe();
    const { domain, replacement, printed, recoverBy } = safe;
    const proposal = replacement('hsm-9');
    const stored: Buffer[] = [...domain.tokens];
    const seen: Buffer[] = [];
    let outcome: 'lost' | 'stored' | 'twin stored' = 'lost';
    using manager = await startManager(stored, proposal, (token) => {
      seen.push(token);
      if (outcome === 'stored') stored.push(token);
      if (outcome !== 'twin stored') return undefined;
      stored.push(twinOf(token));
      return 'another token of this generation was stored first';
    });
    const recover = () => recoverBy(manager);

    expect(await recover()).toBe(1);
    expect(printed.at(-1)).toContain('accepted the new domain token, but does not show it');

    // Operators decide otherwise meanwhile: the member can no longer make that.
    using later = await startManager(stored, replacement('hsm-10'), () => expect.fail());
    expect(await recoverBy(later)).toBe(1);
    expect(printed.at(-1)).toContain(`already made a token of this generation, from proposal ${manager.id}`);

    // Whoever is asked to open the token has it first, and may bring it with another signature, which anybody derives.
    for (const how of ['twin stored', 'stored'] as const) {
      outcome = how;
      expect(await recover()).toBe(0);
      expect(printed.at(-1)).toContain('the domain is at generation 3.');
      expect(seen.at(-1)).toEqual(seen[0]);
      stored.pop();
    }
  },
);

test.each([
  ['behind', -400_000],
  ['ahead of', 400_000],
])('an offline member makes nothing on a machine whose clock is %s the domain-manager’s', async (how, by) => {
  await using safe = await newSafe();
  const { domain, replacement, printed, recoverBy, sealed } = safe;
  const before = sealed();
  using manager = await startManager([...domain.tokens], replacement('hsm-9'), () => expect.fail(), { ahead: -by });
  expect(await recoverBy(manager)).toBe(1);
  expect(printed.at(-1)).toMatch(new RegExp(`this machine's clock is \\d+ s ${how} the domain-manager's`));
  expect(sealed()).toEqual(before);
});

test('an offline member makes nothing that no other member confirms, unless people sign that its word is enough', async () => {
  await using safe = await newSafe(2);
  const { domain, propose, replacement, printed, recoverBy, sealed } = safe;
  const before = sealed();
  const { anchor, tokens, generation } = domain;
  const worker = (memberId: string) => ({ standing: 'member', member_id: memberId, generation });
  const [first, second] = [worker('hsm-1'), worker('hsm-2')];
  const removal: Change = { name: 'ModifyMembers', body: { admit: [], remove: ['hsm-1'] } };
  for (const [proposal, workers] of [
    // Those that it is to replace could compare the keys, and nothing in the token is sealed for them.
    [replacement('hsm-9', false), [first, second]],
    [propose(removal, false), [first]],
    [propose(removal, false), [first, { ...second, generation: generation - 1 }]],
    [propose(rotation, false), []],
  ] as const) {
    using manager = await startManager([...tokens], proposal, () => expect.fail(), { workers });
    expect(await recoverBy(manager)).toBe(1);
    expect(printed.at(-1)).toContain(
      'propose the change again with --unwitnessed. The offline member has made nothing.',
    );
    expect(sealed()).toEqual(before);
  }

  // A worker that confirms it is there, and lost before it is asked.
  const lost = () => 'no member in reach says whether it can open the token';
  const workers = [second];
  using manager = await startManager([...tokens], propose(removal, false), lost, { workers });
  expect(await recoverBy(manager)).toBe(1);
  expect(printed.at(-1)).toContain(lost());

  // People sign that change again, and this takes the place of the witness of the token that the member is bound to.
  const stored = [...tokens];
  using later = await startManager(stored, propose(removal, true), (token) => void stored.push(token));
  expect(await recoverBy(later)).toBe(0);
  expect(printed.join('\n')).toContain('no other member confirms the domain token: safe-1 alone could replace');
  expect(verifyChain(anchor, stored).state.members.map(({ memberId }) => memberId)).toEqual(['hsm-2', 'safe-1']);
  expect(parseToken(stored.at(-1)!).witness).toBeDefined();
});
