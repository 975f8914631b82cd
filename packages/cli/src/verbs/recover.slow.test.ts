import { Server, ServerCredentials } from '@grpc/grpc-js';
import { newOfflineMember } from '@keyfleet/hsm-worker/boundary/offline-member';
import { DomainManager } from '@keyfleet/proto';
import { systemClock } from '@keyfleet/shared/clock';
import { parseProposal, proposalId } from '@keyfleet/shared/domain/proposal';
import { formatTrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import { memberOf, TestDomain } from '@keyfleet/test-support/domain';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { keyfleet } from '../keyfleet.ts';
import { runCli } from '../run-cli.ts';

const passphrase = 'tremble lantern';

type Unary = (
  call: { request: { token: Buffer; after_generation?: number } },
  done: (_: null, answer: object) => void,
) => void;

/** A domain-manager that has `tokens`, and one proposal. */
async function startManager(tokens: Buffer[], proposal: Buffer, store: (token: Buffer) => void) {
  const view = { proposal_id: proposalId(parseProposal(proposal)), proposal, standing: 'ready' };
  const calls: Record<string, Unary> = {
    FetchTokens: ({ request }, done) => done(null, { tokens: tokens.slice(request.after_generation ?? 0) }),
    ListProposals: (_, done) => done(null, { proposals: [view] }),
    StoreToken({ request }, done) {
      store(request.token);
      done(null, { generation: tokens.length + 1 });
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

// The scrypt of a passphrase takes half a second on an idle core, on purpose.
test(
  'a token that a domain-manager only says it stored costs the offline member nothing',
  { timeout: 60_000 },
  async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'keyfleet-'));
    const file = (name: string) => join(folder.path, name);
    const domain = new TestDomain({ members: 1 });
    const safe = newOfflineMember('safe-1', {
      anchor: domain.anchor,
      clock: systemClock,
      random: randomBytes,
      passphrase,
    });
    domain.step({ name: 'ModifyMembers', body: { admit: [memberOf(safe.hsm)], remove: [] } });
    const body = { admit: [memberOf(domain.newHsm('hsm-9'))], remove: ['hsm-1'] };
    const proposal = domain.propose({ name: 'ModifyMembers', body }, domain.people, safe.hsm);
    writeFileSync(file('safe'), safe.file());
    writeFileSync(file('anchor'), formatTrustAnchor(domain.anchor));
    writeFileSync(file('passphrase'), passphrase, { mode: 0o600 });
    const stored: Buffer[] = [...domain.tokens];
    const seen: Buffer[] = [];
    let isHonest = false;
    using manager = await startManager(stored, proposal, (token) => {
      seen.push(token);
      if (isHonest) stored.push(token);
    });
    const printed: string[] = [];
    const note = (text: string) => void printed.push(text);
    const terminal = { write: note, note, askSecret: () => expect.fail() };
    const connected = ['--domain-manager', `127.0.0.1:${manager.port}`, '--trust-anchor', file('anchor')];
    const member = ['--offline-member', file('safe'), '--passphrase-file', file('passphrase')];
    const recover = () => runCli(keyfleet(terminal), ['recover', manager.id, ...connected, ...member], terminal);

    expect(await recover()).toBe(1);
    expect(printed.at(-1)).toContain('accepted the new domain token, but does not show it');

    // Operators decide otherwise meanwhile: the member can no longer make that.
    const other = { admit: [memberOf(domain.newHsm('hsm-10'))], remove: ['hsm-1'] };
    const decided = domain.propose({ name: 'ModifyMembers', body: other }, domain.people, safe.hsm);
    using later = await startManager(stored, decided, () => expect.fail());
    const elsewhere = ['--domain-manager', `127.0.0.1:${later.port}`, '--trust-anchor', file('anchor')];
    expect(await runCli(keyfleet(terminal), ['recover', later.id, ...elsewhere, ...member], terminal)).toBe(1);
    expect(printed.at(-1)).toContain(`already made a token of this generation, from proposal ${manager.id}`);

    isHonest = true;
    expect(await recover()).toBe(0);
    expect(printed.at(-1)).toContain('the domain is at generation 3.');
    expect(seen[1]).toEqual(seen[0]);
  },
);
