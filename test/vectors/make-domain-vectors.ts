/**
 * Makes test/vectors/kms/domain-*-2.json and operator-keys.json, once for each version of the formats: signatures and
 * keys are random, and a file that exists stays for ever, because what it holds must open in every later release.
 * Run with Node: `node test/vectors/make-domain-vectors.ts`.
 */
import {
  type Change,
  forgedToken,
  memberOf,
  newOperator,
  publicPart,
  rotation,
  signedBy,
  TestDomain,
} from '@keyfleet/test-support/domain';
import { randomBytes } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { newOfflineMember } from '@keyfleet/hsm-worker/boundary/offline-member';
import { sealOperatorKey } from '@keyfleet/cli/operator-key-file';
import { encodeDomainChange, Proposal } from '@keyfleet/shared/domain/proposal';
import { DomainState } from '@keyfleet/shared/domain/state';
import { TokenEnvelope, tokenHash } from '@keyfleet/shared/domain/token';
import { formatTrustAnchor } from '@keyfleet/shared/domain/trust-anchor';

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

function write(name: string, content: object): void {
  const path = join(import.meta.dirname, 'kms', name);
  if (existsSync(path)) return console.log(`${name} is there and stays`);
  writeFileSync(path, `${JSON.stringify(content, undefined, 2)}\n`);
}

const domain = new TestDomain();
const sealedIdentity = domain.newHsm('hsm-3');
const candidate = base64(sealedIdentity.sealedIdentity());
const owned = domain.identities.get('hsm-1')!;

domain.step({ name: 'ModifyMembers', body: { admit: [memberOf(sealedIdentity)], remove: [] } });
domain.clock.advance(86_400_000);
domain.rotate();
domain.step({ name: 'ModifyOperators', body: { admit: [publicPart(newOperator('dave'))], remove: ['carol'] } });
domain.step({
  name: 'ModifyRules',
  body: { rules: domain.hsms[0]!.installed!.state.rules, backupHorizonMs: 3_600_000 },
});
domain.clock.advance(86_400_000);
const [oldest, older] = domain.hsms[0]!.installed!.state.domainKeys.map(({ id }) => id) as [string, string];
domain.rotate();
domain.drop(oldest);
domain.retire(older);
domain.step({ name: 'ReinstateDomainKeys', body: { ids: [older] } });
domain.retire(older);
domain.hsms.pop();
domain.step({ name: 'ModifyMembers', body: { admit: [], remove: ['hsm-2'] } });
const { tokens } = domain;
const { secrets, state } = domain.hsms[0]!.installed!;

sealedIdentity.install(tokens);
const next = domain.prepare(rotation);
const twin = domain.prepare(rotation, domain.people, sealedIdentity);
const { body, signature } = TokenEnvelope.decode(next);
const flippedSignature = Buffer.from(signature);
flippedSignature[50]! ^= 1;
const all = tokens.map((_, i) => i);
const command = domain.command({ name: 'ModifyOperators', body: { admit: [], remove: ['dave'] } });
const withProposal = (proposal: Uint8Array): string => base64(forgedToken(next, owned, () => ({ proposal })));
const once = Proposal.decode(signedBy(command, [domain.alice]));
const withState = (altered: (state: DomainState) => Partial<DomainState>): string =>
  base64(forgedToken(next, owned, (_, old) => ({ state: DomainState.encode({ ...old, ...altered(old) }) })));

write('domain-tokens-2.json', {
  about:
    'A chain of domain tokens, and tokens that every verifier must refuse; `member` is what hsm-3 says, where it differs.',
  trustAnchor: JSON.parse(formatTrustAnchor(domain.anchor)) as object,
  sealKey: base64(Buffer.alloc(32, 7)),
  member: { memberId: 'hsm-3', sealedIdentity: candidate },
  tokens: tokens.map(base64),
  newest: {
    generation: state.generation,
    hash: base64(tokenHash(tokens.at(-1)!)),
    domainKeys: secrets.domainKeys.map(({ id, key }) => ({ id, key: base64(key.export()) })),
    materialIdKey: base64(secrets.materialIdKey.export()),
  },
  cases: [
    { name: 'the whole chain', tokens: all, expect: 'accepted' },
    { name: 'its beginning', tokens: [0, 1], expect: 'accepted' },
    { name: 'a rotation more', tokens: [...all, base64(next)], expect: 'accepted' },
    { name: 'a token is missing', tokens: [0, 2], expect: 'skipped' },
    { name: 'the founding token is missing', tokens: all.slice(1), expect: 'skipped' },
    { name: 'a token twice', tokens: [0, 1, 1], expect: 'stale' },
    { name: 'two tokens of one generation', tokens: [...all, base64(next), base64(twin)], expect: 'stale' },
    {
      name: 'a founding of another domain',
      tokens: [base64(new TestDomain({ name: 'other' }).tokens[0]!)],
      expect: 'other-domain',
    },
    { name: 'a founding by others', tokens: [base64(new TestDomain().tokens[0]!)], expect: 'forged' },
    {
      name: 'a flipped bit in the signature',
      tokens: [...all, base64(TokenEnvelope.encode({ body, signature: flippedSignature }))],
      expect: 'forged',
    },
    { name: 'a signature cut short', tokens: [...all, base64(next.subarray(0, -1))], expect: 'malformed' },
    {
      name: 'follows another token',
      tokens: [...all, base64(forgedToken(next, owned, () => ({ previousHash: Buffer.alloc(32) })))],
      expect: 'forked',
    },
    {
      name: 'signed by a member that was removed',
      tokens: [...all, base64(forgedToken(next, domain.identities.get('hsm-2')!, () => ({ signerId: 'hsm-2' })))],
      expect: 'forged',
    },
    {
      name: 'a member that no command admitted',
      tokens: [...all, withState(({ members }) => ({ members: [...members, { ...members[0]!, memberId: 'evil' }] }))],
      expect: 'wrong-state',
    },
    {
      name: 'an operator that no command admitted',
      tokens: [
        ...all,
        withState(({ operators }) => ({ operators: [...operators, publicPart(newOperator('mallory'))] })),
      ],
      expect: 'wrong-state',
    },
    {
      name: 'one signature where two are needed',
      tokens: [...all, withProposal(Proposal.encode(once))],
      expect: 'not-enough-signatures',
    },
    {
      name: 'one operator twice',
      tokens: [
        ...all,
        withProposal(Proposal.encode({ ...once, signatures: [...once.signatures, ...once.signatures] })),
      ],
      expect: 'repeated-signer',
    },
    {
      name: 'the scheduler as the second',
      tokens: [...all, withProposal(signedBy(command, [domain.alice, domain.scheduler]))],
      expect: 'not-enough-signatures',
    },
    {
      name: 'an operator that was removed',
      tokens: [...all, withProposal(signedBy(command, [domain.alice, domain.carol]))],
      expect: 'forged',
    },
    {
      name: 'a proposal of an earlier generation',
      tokens: [...all, withProposal(signedBy({ ...command, generation: 3 }, domain.people))],
      expect: 'stale',
    },
    {
      name: 'a proposal for another token of this generation',
      tokens: [...all, withProposal(signedBy({ ...command, previousHash: Buffer.alloc(32, 1) }, domain.people))],
      expect: 'forked',
    },
    {
      name: 'a proposal that names another member',
      tokens: [...all, withProposal(signedBy({ ...command, preparer: 'hsm-3' }, domain.people))],
      expect: 'wrong-state',
    },
    {
      name: 'signed by another member than its proposal names',
      tokens: [...all, base64(forgedToken(next, domain.identities.get('hsm-3')!, () => ({ signerId: 'hsm-3' })))],
      expect: 'forged',
    },
    {
      name: 'a time before that of the token it follows',
      tokens: [...all, withState(({ madeAt }) => ({ madeAt: madeAt - 1 }))],
      expect: 'wrong-state',
    },
    {
      name: 'a domain key that is not retired any more',
      tokens: [
        ...all,
        withState(({ domainKeys: [first, ...rest] }) => ({
          domainKeys: [{ ...first!, status: 'deactivated' }, ...rest],
        })),
      ],
      expect: 'wrong-state',
    },
    {
      name: 'sealed for a member under P-384 alone',
      tokens: [
        ...all,
        base64(
          forgedToken(next, owned, ({ wrappedKeys }) => ({
            wrappedKeys: wrappedKeys.map((one) => ({ ...one, encapsulated: undefined })),
          })),
        ),
      ],
      expect: 'wrong-state',
    },
    {
      name: 'a proposal of another domain',
      tokens: [...all, withProposal(signedBy({ ...command, domain: 'other' }, domain.people))],
      expect: 'other-domain',
    },
    {
      name: 'wrapped keys that were changed and signed again',
      tokens: [
        ...all,
        base64(
          forgedToken(next, owned, ({ wrappedKeys }) => ({
            wrappedKeys: wrappedKeys.map((one) => ({ ...one, sealed: Buffer.alloc(48) })),
          })),
        ),
      ],
      expect: 'accepted',
      member: 'cannot-open',
    },
  ],
});

const hsm = domain.hsms[0]!;
const offline = newOfflineMember('safe-1', {
  anchor: domain.anchor,
  clock: domain.clock,
  random: randomBytes,
  passphrase: 'correct horse',
});
write('domain-identities-2.json', {
  about:
    'Identities at rest. The worker is at the generation of its newest token, and has made the next one, `prepared`.',
  trustAnchor: JSON.parse(formatTrustAnchor(domain.anchor)) as object,
  worker: { sealKey: base64(Buffer.alloc(32, 7)), sealedIdentity: base64(hsm.sealedIdentity()), ...described(hsm) },
  prepared: base64(next),
  newestToken: base64(tokens.at(-1)!),
  olderToken: base64(tokens.at(-2)!),
  offline: { passphrase: 'correct horse', file: base64(offline.file()), ...described(offline.hsm) },
});

function described(one: typeof hsm): object {
  return inBase64(memberOf(one)) as object;
}

const passphrase = 'correct horse battery staple';
const privateKey = domain.alice.privateKey;
const pbes2 = { cipher: 'aes-256-cbc', passphrase: 'correct horse' };
write('operator-keys.json', {
  about: "Operators' key files, the one of releases before keyfleet/operator-key/1 first. The key is the same.",
  signingKey: base64(domain.alice.signingKey),
  files: [
    {
      protection: 'pbes2',
      passphrase: pbes2.passphrase,
      text: privateKey.export({ type: 'pkcs8', format: 'pem', ...pbes2 }),
    },
    { protection: 'scrypt', passphrase, text: sealOperatorKey(privateKey, passphrase) },
  ],
});

const rules = state.rules;
const ids = ['ab'.repeat(16)];
const changes: Change[] = [
  rotation,
  { name: 'RetireDomainKeys', body: { ids } },
  { name: 'ReinstateDomainKeys', body: { ids } },
  { name: 'DropDomainKeys', body: { ids } },
  { name: 'ModifyMembers', body: { admit: [memberOf(hsm)], remove: ['hsm-2'] } },
  { name: 'ModifyOperators', body: { admit: [publicPart(domain.alice)], remove: ['carol'] } },
  { name: 'ModifyRules', body: { rules, backupHorizonMs: 0 } },
  { name: 'LeaveDomain', body: { memberId: 'hsm-1' } },
];
write('domain-commands-2.json', {
  about:
    'Commands and their canonical bytes, which operators sign. Keys are DER SubjectPublicKeyInfo; bytes are base64.',
  signer: { operatorId: 'alice', signingKey: base64(domain.alice.signingKey) },
  commands: changes.map((one) => {
    const bound = domain.command(one, { generation: 4 });
    const proposal = signedBy(bound, [domain.alice]);
    return {
      name: one.name,
      json: inBase64(bound),
      command: base64(encodeDomainChange(bound)),
      proposal: base64(proposal),
    };
  }),
});

function inBase64(value: unknown): unknown {
  if (value instanceof Uint8Array) return base64(value);
  if (Array.isArray(value)) return value.map(inBase64);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, inBase64(field)]));
}

const removing = new TestDomain();
const removal = removing.command({ name: 'ModifyOperators', body: { admit: [], remove: ['frontend-1'] } });
removing.step({ name: 'ModifyOperators', body: { admit: [], remove: ['frontend-1'] } });
write('domain-host-removal.json', {
  about: 'A chain whose second token removes a service host, and the command of it.',
  trustAnchor: JSON.parse(formatTrustAnchor(removing.anchor)) as object,
  tokens: removing.tokens.map(base64),
  command: base64(encodeDomainChange(removal)),
  json: inBase64(removal),
});
