import { Server, ServerCredentials } from '@grpc/grpc-js';
import { DomainManager } from '@keyfleet/proto';
import { parseDomainChange, parseProposal, proposalId } from '@keyfleet/shared/domain/proposal';
import { ruledChanges } from '@keyfleet/shared/domain/state';
import { formatTrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import { memberOf, newOperator, TestDomain, testRules } from '@keyfleet/test-support/domain';
import { writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { keyfleet } from '../keyfleet.ts';
import { formatMember, formatOperator } from '../public-files.ts';
import { runCli } from '../run-cli.ts';

type Answer = (
  call: { request: { proposal?: Buffer; after_generation?: number } },
  done: (e: null, a: object) => void,
) => void;

const domain = new TestDomain({ members: 3 });
domain.rotate();
const [key] = domain.hsms[0]!.state!.domainKeys;
const resources = new AsyncDisposableStack();
let folder: string;
const proposed: Buffer[] = [];
let manager: string;
const file = (name: string, content: string): string => {
  writeFileSync(join(folder, name), content, { mode: 0o600 });
  return join(folder, name);
};

beforeAll(async () => {
  folder = resources.use(await mkdtempDisposable(join(tmpdir(), 'keyfleet-'))).path;
  const { generation } = domain;
  const workers = domain.hsms.map(({ memberId }) => ({ standing: 'member', member_id: memberId, generation }));
  const calls: Record<string, Answer> = {
    FetchTokens: ({ request }, done) => done(null, { tokens: domain.tokens.slice(request.after_generation ?? 0) }),
    Status: (_, done) => done(null, { workers }),
    ListProposals: (_, done) => done(null, { proposals: [] }),
    Propose({ request }, done) {
      const proposal = request.proposal!;
      proposed.push(proposal);
      const id = proposalId(parseProposal(proposal));
      done(null, { proposal_id: id, proposal, standing: 'collecting', reason: 'one more' });
    },
  };
  const server = new Server();
  server.addService(DomainManager.service, calls as never);
  resources.defer(() => server.forceShutdown());
  manager = await new Promise<string>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
      error ? reject(error) : resolve(`127.0.0.1:${port}`),
    );
  });
});
afterAll(() => resources.disposeAsync());

/** What alice proposes, and what she reads. */
async function propose(...verb: readonly string[]) {
  proposed.length = 0;
  const printed: string[] = [];
  const note = (text: string) => void printed.push(text);
  const terminal = { write: note, note, askSecret: () => expect.fail() };
  const anchor = file('anchor.json', formatTrustAnchor(domain.anchor));
  const by = [
    '--as',
    'alice',
    '--key',
    file('alice.pem', domain.alice.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string),
  ];
  const args = [...verb, '--domain-manager', manager, '--trust-anchor', anchor, ...by];
  await runCli(keyfleet(terminal), args, terminal);
  const [change] = proposed.map((proposal) => parseDomainChange(parseProposal(proposal).command));
  return { change, text: printed.join('\n') };
}

const ALONE = 'no other member confirms the domain token: hsm-1 alone could replace the domain keys by it';

test('every verb that proposes a domain token lets people sign that the preparer’s word is enough, and says so', async () => {
  const added = newOperator('carla');
  const rules = file('rules.json', JSON.stringify(testRules));
  const verbs = [
    ['domain', 'rotate'],
    ['domain', 'retire', key!.id],
    ['domain', 'reinstate', key!.id],
    ['domain', 'propose', 'operators', '--admit', file('carla.pub.json', formatOperator(added))],
    ['domain', 'propose', 'rules', '--file', rules],
    ['member', 'admit', file('safe-1.pub.json', formatMember({ ...memberOf(domain.newHsm('safe-1')), offline: true }))],
    ['member', 'remove', 'hsm-3'],
  ];
  const seen: string[] = [];
  for (const verb of verbs) {
    for (const unwitnessed of [false, true]) {
      const { change, text } = await propose(...verb, ...(unwitnessed ? ['--unwitnessed'] : []));
      expect(change?.unwitnessed, text).toBe(unwitnessed);
      expect(text.includes(ALONE)).toBe(unwitnessed);
      seen.push(change!.name);
    }
  }
  // `domain drop` first counts what Redis holds.
  const others = ['DropDomainKeys', 'LeaveDomain'];
  expect(new Set([...seen, ...others])).toEqual(new Set(ruledChanges));
});

test('a removal that leaves its preparer alone needs no witness, and one that also admits is made in two changes', async () => {
  const alone = await propose('member', 'remove', 'hsm-2,hsm-3');
  expect(alone.change).toMatchObject({ unwitnessed: true, preparer: 'hsm-1' });
  expect(alone.text).toContain(ALONE);

  const identity = file('hsm-9.pub.json', formatMember(memberOf(domain.newHsm('hsm-9'))));
  const replacement = ['member', 'admit', identity, '--remove', 'hsm-2,hsm-3'];
  const refused = await propose(...replacement);
  expect(refused.change).toBeUndefined();
  expect(refused.text).toContain(
    'nobody who stays but hsm-1 has the domain keys, and it could replace them: admit the new members first, and remove hsm-2, hsm-3 by another change',
  );
  expect((await propose(...replacement, '--unwitnessed')).change?.unwitnessed).toBe(true);
});
