import { type Change, inVersion2, memberOf, refusalOf, rotation, TestClock } from '@keyfleet/test-support/domain';
import { checkedBy } from '@keyfleet/test-support/token-verdict';
import { createPrivateKey, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { newSecretKey } from '@keyfleet/hsm-worker/boundary/domain/domain-secrets';
import { sealDomainToken } from '@keyfleet/hsm-worker/boundary/domain/domain-token';
import { Hsm } from '@keyfleet/hsm-worker/boundary/hsm';
import { openIdentity } from '@keyfleet/hsm-worker/boundary/identity';
import { openOfflineMember } from '@keyfleet/hsm-worker/boundary/offline-member';
import { newSealKey } from '@keyfleet/hsm-worker/boundary/seal-key';
import { atOnce } from '@keyfleet/hsm-worker/boundary/steps';
import { nextState } from '@keyfleet/shared/domain/apply';
import { verifyChain } from '@keyfleet/shared/domain/chain';
import {
  boundTo,
  type NewDomainChange,
  newProposal,
  parseDomainChange,
  Proposal,
  signProposal,
} from '@keyfleet/shared/domain/proposal';
import { parseToken, tokenHash, withWitness } from '@keyfleet/shared/domain/token';
import { parseTrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import { beforeEach, describe, expect, test } from 'vitest';

interface Vectors {
  readonly trustAnchor: object;
  readonly now: number;
  readonly sealKey: string;
  readonly operators: readonly { readonly operatorId: string; readonly privateKey: string }[];
  /** The first has the newest token, the second the first one only. */
  readonly members: readonly { readonly memberId: string; readonly sealedIdentity: string }[];
  readonly offline: { readonly memberId: string; readonly passphrase: string; readonly file: string };
  readonly tokens: readonly string[];
  readonly newestHash: string;
  readonly domainKeys: readonly { readonly id: string; readonly key: string }[];
  /** Of version 1, with all its signatures, for the newest token. */
  readonly unusedProposal: { readonly proposal: string };
}

const bytesOf = (base64: string): Buffer => Buffer.from(base64, 'base64');
const vectors = JSON.parse(readFileSync(join(import.meta.dirname, 'kms/domain-version-1.json'), 'utf8')) as Vectors;
const anchor = parseTrustAnchor(JSON.stringify(vectors.trustAnchor));
const clock = new TestClock();
clock.time = vectors.now;
const random = randomBytes;
const operators = vectors.operators.map(({ operatorId, privateKey }) => ({
  operatorId,
  privateKey: createPrivateKey({ key: bytesOf(privateKey), format: 'der', type: 'pkcs8' }),
}));

let tokens: Buffer[];
let [first, second]: Hsm[] = [];
beforeEach(() => {
  tokens = vectors.tokens.map(bytesOf);
  [first, second] = vectors.members.map(({ memberId, sealedIdentity }) => {
    const sealKey = newSealKey(bytesOf(vectors.sealKey), random);
    return new Hsm({ memberId, anchor, sealKey, clock, random, sealedIdentity: bytesOf(sealedIdentity) });
  });
  first!.install(tokens.slice(-1));
  second!.install(tokens);
});

function signed(change: Change, preparer = 'hsm-1'): Buffer {
  const command = { ...boundTo(verifyChain(anchor, tokens), preparer), ...change } as NewDomainChange;
  return Proposal.encode(operators.slice(0, 2).reduce(signProposal, newProposal(command)));
}

/** With the word of another member, unless people sign that it needs none. */
function goOn(change: Change, by: Hsm = first!): void {
  const made = by.prepare(signed(change, by.memberId), tokens.at(-1));
  const other = by === first ? second! : first!;
  tokens.push(change.unwitnessed === true ? made : withWitness({ made }, checkedBy(other, made)));
  for (const hsm of [first!, second!]) hsm.install(tokens);
}

/** A rotation as the release before witnesses made it, which drew the domain key's id. */
function rotationOfVersion2(): Buffer {
  const { state: before, tokenHash: previousHash, secrets } = first!.installed!;
  const bound = { ...boundTo({ state: before, hash: previousHash }, 'hsm-1'), ...rotation } as NewDomainChange;
  const command = inVersion2(newProposal(bound).command);
  const proposal = operators.slice(0, 2).reduce(signProposal, { command, signatures: [] });
  const key = { id: random(16).toString('hex'), key: newSecretKey(random) };
  const state = nextState(before, parseDomainChange(command), { keyId: key.id, madeAt: clock.now() });
  const { identity } = openIdentity(first!.sealedIdentity(), newSealKey(bytesOf(vectors.sealKey), random));
  const parts = { state, previousHash, proposal, secrets: { ...secrets, domainKeys: [...secrets.domainKeys, key] } };
  return atOnce(sealDomainToken(parts, identity, random));
}

describe('a domain that version 1 founded', () => {
  test('verifies, and its members come back with their keys', () => {
    expect(tokenHash(tokens.at(-1)!)).toEqual(bytesOf(vectors.newestHash));
    expect(verifyChain(anchor, tokens).state.version).toBe(1);
    for (const hsm of [first!, second!]) {
      for (const { id, key } of vectors.domainKeys) {
        expect(hsm.keyring()!.find(id)!.key.export()).toEqual(bytesOf(key));
      }
    }
  });

  test('continues in version 3, from members without an ML-KEM key, with what was sealed before', () => {
    goOn(rotation);
    const { state } = verifyChain(anchor, tokens);
    expect(state).toMatchObject({ version: 3, generation: tokens.length, madeAt: clock.now() });
    expect(state.members.every(({ encapsulationKey }) => encapsulationKey === undefined)).toBe(true);
    expect(second!.keyring()!.find(vectors.domainKeys[0]!.id)!.key.export()).toEqual(
      bytesOf(vectors.domainKeys[0]!.key),
    );
    const restarted = new Hsm({
      memberId: 'hsm-2',
      anchor,
      sealKey: newSealKey(bytesOf(vectors.sealKey), random),
      clock,
      random,
      sealedIdentity: second!.sealedIdentity(),
    });
    restarted.install(tokens.slice(-1));
    expect(restarted.describe()).toMatchObject({ generation: tokens.length, activeGeneration: tokens.length });
  });

  test('goes on with tokens of version 2, which have no witness, until the first of version 3', () => {
    for (let i = 0; i < 2; i++) {
      tokens.push(rotationOfVersion2());
      for (const hsm of [first!, second!]) hsm.install(tokens);
      expect(verifyChain(anchor, tokens).state.version).toBe(2);
    }
    const refusal = (token: Uint8Array) => refusalOf(() => verifyChain(anchor, [...tokens, token]));
    const older = rotationOfVersion2();
    expect(refusal(older)).toBe('accepted');
    expect(refusal(withWitness({ made: older }, checkedBy(second!, tokens.at(-1)!)))).toBe('malformed');
    expect(refusal(first!.prepare(signed(rotation), tokens.at(-1)))).toBe('unwitnessed');
    goOn(rotation);
    const later = rotationOfVersion2();
    expect(refusal(later)).toBe('outdated');
    for (const hsm of [first!, second!]) expect(refusalOf(() => hsm.install([later]))).toBe('outdated');
  });

  test('takes a member with all three keys in the place of an old one, and people may retire what that one knew', () => {
    const sealKey = newSealKey(Buffer.alloc(32, 9), random);
    const fresh = new Hsm({ memberId: 'hsm-2', anchor, sealKey, clock, random });
    second = fresh;
    goOn({ name: 'ModifyMembers', body: { admit: [memberOf(fresh)], remove: ['hsm-2'] }, unwitnessed: true });
    fresh.install(tokens);
    const [, wrapped] = parseToken(tokens.at(-1)!).wrappedKeys.map(({ encapsulated }) => encapsulated?.length);
    expect([wrapped, fresh.describe().activeGeneration]).toEqual([undefined, tokens.length]);
    const rules = fresh.installed!.state.rules;
    const operator = { role: 'operator' as const, minimum: 2 };
    const added = { command: 'RetireDomainKeys' as const, alternatives: [[operator]] };
    goOn({ name: 'ModifyRules', body: { rules: [...rules, added], backupHorizonMs: 0 } }, fresh);
    goOn({ name: 'RetireDomainKeys', body: { ids: vectors.domainKeys.map(({ id }) => id) } });
    expect(fresh.keyring()!.isRetired(vectors.domainKeys[0]!.id)).toBe(true);
  });

  test('is continued by its offline member', () => {
    const { passphrase, file, memberId } = vectors.offline;
    const { hsm } = openOfflineMember(bytesOf(file), { anchor, passphrase, clock, random });
    hsm.install(tokens);
    goOn(rotation, hsm);
    expect(verifyChain(anchor, tokens).state.generation).toBe(tokens.length);
    expect(parseToken(tokens.at(-1)!).signerId).toBe(memberId);
  });

  test('is changed by no proposal of version 1 any more', () => {
    const old = bytesOf(vectors.unusedProposal.proposal);
    expect(refusalOf(() => first!.prepare(old, tokens.at(-1)))).toBe('outdated');
  });
});
