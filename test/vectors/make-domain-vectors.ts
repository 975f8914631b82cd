/**
 * Makes test/vectors/kms/domain-{tokens,identities}-3.json, once for each version of the formats: signatures and keys
 * are random, and a file that exists stays for ever, because what it holds must open in every later release.
 * Run with Node: `node test/vectors/make-domain-vectors.ts`.
 */
import {
  type Change,
  forgedToken,
  inVersion2,
  memberOf,
  newOperator,
  publicPart,
  rotation,
  signedBy,
  TestDomain,
  testSealKey,
} from '@keyfleet/test-support/domain';
import { randomBytes } from 'node:crypto';
import { newOfflineMember } from '@keyfleet/hsm-worker/boundary/offline-member';
import { Proposal, signProposal } from '@keyfleet/shared/domain/proposal';
import { DomainState } from '@keyfleet/shared/domain/state';
import { parseToken, TokenEnvelope, tokenHash, withWitness } from '@keyfleet/shared/domain/token';
import { formatTrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import { base64, inBase64, write } from './vector-files.ts';

const domain = new TestDomain();
const sealedIdentity = domain.newHsm('hsm-3');
const candidate = base64(sealedIdentity.sealedIdentity());
const owned = domain.identities.get('hsm-1')!;

const safe = { ...memberOf(domain.newHsm('safe-1')), offline: true };
domain.step({ name: 'ModifyMembers', body: { admit: [memberOf(sealedIdentity), safe], remove: [] } });
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
const { made } = parseToken(next);
/** What only people can have wanted: no other member confirms it. */
const alone: Change = { name: 'ModifyMembers', body: { admit: [], remove: ['hsm-3'] }, unwitnessed: true };
const unwitnessed = madeFor(alone);
const waiver = (preparer: string, signers = domain.people): Buffer =>
  signedBy(domain.command(alone, { preparer }), signers);
const twin = domain.prepare(rotation, domain.people, sealedIdentity);
const { body, signature, witness } = parseToken(next);
const flippedSignature = Buffer.from(signature);
flippedSignature[50]! ^= 1;
const all = tokens.map((_, i) => i);
const command = domain.command({ name: 'ModifyOperators', body: { admit: [], remove: ['dave'] } });
const withProposal = (proposal: Uint8Array): string => base64(forgedToken(next, owned, () => ({ proposal })));
const once = Proposal.decode(signedBy(command, [domain.alice]));
const withWitnessed = (by: Uint8Array): (number | string)[] => [...all, base64(withWitness({ made }, by))];
const inVersion2Of = (proposal: Proposal): Buffer =>
  Proposal.encode(domain.people.reduce(signProposal, { command: inVersion2(proposal.command), signatures: [] }));
const withState = (altered: (state: DomainState) => Partial<DomainState>): string =>
  base64(forgedToken(next, owned, (_, old) => ({ state: DomainState.encode({ ...old, ...altered(old) }) })));

write('domain-tokens-3.json', {
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
      tokens: [
        ...all,
        base64(withWitness({ made: TokenEnvelope.encode({ body, signature: flippedSignature }) }, witness!)),
      ],
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
          domain.witnessed(
            forgedToken(next, owned, ({ wrappedKeys }) => ({
              wrappedKeys: wrappedKeys.map((one) => ({ ...one, sealed: Buffer.alloc(48) })),
            })),
          ),
        ),
      ],
      expect: 'accepted',
      member: 'cannot-open',
    },
    { name: 'without a witness', tokens: [...all, base64(made)], expect: 'unwitnessed' },
    { name: 'its maker is its witness', tokens: withWitnessed(domain.checkBy('hsm-1', next)), expect: 'forged' },
    {
      name: 'a member that was removed is its witness',
      tokens: withWitnessed(domain.checkBy('hsm-2', next)),
      expect: 'forged',
    },
    {
      name: 'an offline member is its witness',
      tokens: withWitnessed(domain.checkBy('safe-1', next)),
      expect: 'forged',
    },
    {
      name: 'a witness of another token',
      tokens: withWitnessed(domain.checkBy('hsm-3', tokens.at(-1)!)),
      expect: 'forged',
    },
    { name: 'an empty witness', tokens: withWitnessed(Buffer.of()), expect: 'malformed' },
    {
      name: 'a witnessed token in a witnessed token',
      tokens: [...all, base64(withWitness({ made: next }, witness!))],
      expect: 'malformed',
    },
    { name: 'a change that asks for no witness', tokens: [...all, base64(unwitnessed)], expect: 'accepted' },
    {
      name: 'a witness that nobody needs',
      tokens: [...all, base64(withWitness({ made: unwitnessed }, domain.checkBy('hsm-3', unwitnessed)))],
      expect: 'malformed',
    },
    { name: 'a waiver in place of the witness', tokens: withWitnessed(waiver('hsm-1')), expect: 'accepted' },
    { name: 'a waiver for another member', tokens: withWitnessed(waiver('hsm-3')), expect: 'forged' },
    {
      name: 'a waiver with one signature',
      tokens: withWitnessed(waiver('hsm-1', [domain.alice])),
      expect: 'not-enough-signatures',
    },
    {
      name: 'the own change of the token as a waiver',
      tokens: withWitnessed(Proposal.encode(parseToken(next).proposal)),
      expect: 'forged',
    },
    {
      name: 'a token of version 2 after one of version 3',
      tokens: [
        ...all,
        base64(
          forgedToken(next, owned, (_, old) => ({
            proposal: inVersion2Of(parseToken(next).proposal),
            state: DomainState.encode({ ...old, version: 2 }),
          })),
        ),
      ],
      expect: 'outdated',
    },
  ],
});

/** As the first member would make it, had it made no other of this generation. */
function madeFor(change: Change): Buffer {
  const again = domain.newHsm('hsm-1', owned.seal(testSealKey));
  again.install(tokens);
  return again.prepare(domain.propose(change), tokens.at(-1));
}

const hsm = domain.hsms[0]!;
const offline = newOfflineMember('safe-1', {
  anchor: domain.anchor,
  clock: domain.clock,
  random: randomBytes,
  passphrase: 'correct horse',
});
write('domain-identities-3.json', {
  about:
    'Identities at rest. The worker is at the generation of its newest token, and has made the next one, `prepared`.',
  trustAnchor: JSON.parse(formatTrustAnchor(domain.anchor)) as object,
  worker: { sealKey: base64(Buffer.alloc(32, 7)), sealedIdentity: base64(hsm.sealedIdentity()), ...described(hsm) },
  prepared: base64(made),
  newestToken: base64(tokens.at(-1)!),
  olderToken: base64(tokens.at(-2)!),
  offline: { passphrase: 'correct horse', file: base64(offline.file()), ...described(offline.hsm) },
});

function described(one: typeof hsm): object {
  return inBase64(memberOf(one)) as object;
}
