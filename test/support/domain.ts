import { createSecretKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import type { Clock } from '@keyfleet/shared/clock';
import {
  type Binding,
  type NewDomainChange,
  newProposal,
  parseDomainChange,
  Proposal,
  signProposal,
} from '@keyfleet/shared/domain/proposal';
import { seal } from '@keyfleet/shared/encoding/aead';
import { DomainError, type DomainErrorCode } from '@keyfleet/shared/domain/domain-error';
import { encodedPublicKey } from '@keyfleet/shared/domain/signature';
import {
  DomainState,
  type Member,
  type NewMember,
  type Operator,
  type Role,
  type Rule,
  ruledChanges,
} from '@keyfleet/shared/domain/state';
import {
  type DomainToken,
  parseToken,
  TokenBody,
  TokenEnvelope,
  TokenHeader,
  tokenHash,
  withWitness,
  type WrappedKey,
} from '@keyfleet/shared/domain/token';
import { signCheck } from '@keyfleet/shared/domain/token-check';
import { needsWitness, witnessesFor, witnessesOf } from '@keyfleet/shared/domain/witness';
import type { Checkpoint, TrustAnchor } from '@keyfleet/shared/domain/trust-anchor';

import { encodeSecrets, newSecretKey } from '@keyfleet/hsm-worker/boundary/domain/domain-secrets';
import { openDomainToken, sealDomainToken } from '@keyfleet/hsm-worker/boundary/domain/domain-token';
import { wrapDkek } from '@keyfleet/hsm-worker/boundary/domain/wrapped-dkek';
import { Hsm } from '@keyfleet/hsm-worker/boundary/hsm';
import { type Identity, newIdentity } from '@keyfleet/hsm-worker/boundary/identity';
import { atOnce } from '@keyfleet/hsm-worker/boundary/steps';
import { newSealKey } from '@keyfleet/hsm-worker/boundary/seal-key';

export interface TestOperator extends Operator {
  readonly privateKey: KeyObject;
}

export function newOperator(operatorId: string, role: Role = 'operator'): TestOperator {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'secp384r1' });
  return { operatorId, role, signingKey: encodedPublicKey(privateKey), privateKey };
}

/** The public part of an operator. */
export function publicPart({ operatorId, role, signingKey }: Operator): Operator {
  return { operatorId, role, signingKey };
}

/** Two people for everything; the scheduler may rotate and retire alone. */
export const testRules: Rule[] = ruledChanges.map((command) => ({
  command,
  alternatives: [
    ...(command === 'RotateDomainKeys' || command === 'RetireDomainKeys'
      ? [[{ role: 'scheduler' as const, minimum: 1 }]]
      : []),
    [{ role: 'operator', minimum: 2 }],
  ],
}));

export class TestClock implements Clock {
  time = Date.UTC(2026, 0, 1);
  now(): number {
    return this.time;
  }
  advance(ms: number): void {
    this.time += ms;
  }
}

type ChangeOf<C> = C extends NewDomainChange ? Pick<C, 'name' | 'body' | 'unwitnessed'> : never;
/** A domain change that is not bound yet. */
export type Change = ChangeOf<NewDomainChange>;

export const rotation = { name: 'RotateDomainKeys', body: {} } as const satisfies Change;

/**
 * A founded domain in memory, with real HSMs: what the shell, the domain-manager and the operators would do, by hand.
 */
export class TestDomain {
  readonly clock = new TestClock();
  readonly alice = newOperator('alice');
  readonly bob = newOperator('bob');
  readonly carol = newOperator('carol');
  readonly frontend = newOperator('frontend-1', 'service-host');
  readonly scheduler = newOperator('scheduler-1', 'scheduler');
  readonly founders = [this.alice, this.bob, this.carol];
  /** Their signatures suffice for any change. */
  readonly people = [this.alice, this.bob];
  readonly anchor: TrustAnchor;
  readonly tokens: Buffer[] = [];
  /** The newest identity of each name, with which an attacker who owns that member could sign. */
  readonly identities = new Map<string, Identity>();
  readonly hsms: Hsm[];

  constructor(options: { name?: string; members?: number; backupHorizonMs?: number } = {}) {
    const { name = 'test', members = 2, backupHorizonMs = 0 } = options;
    this.anchor = { domain: name, minimum: 2, operators: this.founders.map(publicPart) };
    this.hsms = Array.from({ length: members }, (_, i) => this.newHsm(`hsm-${i + 1}`));
    this.step({
      name: 'CreateDomain',
      body: {
        members: this.hsms.map(memberOf),
        operators: [...this.founders, this.frontend, this.scheduler].map(publicPart),
        rules: testRules,
        backupHorizonMs,
      },
    });
  }

  /** An HSM of the domain's anchor; `sealedIdentity` restarts one. */
  newHsm(memberId: string, sealedIdentity?: Uint8Array, onKeysLost?: () => void, checkpoint?: Checkpoint): Hsm {
    return new Hsm({
      memberId,
      anchor: { ...this.anchor, ...(checkpoint && { checkpoint }) },
      sealKey: testSealKey,
      clock: this.clock,
      monotonicClock: this.clock,
      random: randomBytes,
      sealedIdentity: sealedIdentity ?? this.#newIdentity(memberId).seal(testSealKey),
      ...(onKeysLost && { onKeysLost }),
    });
  }

  #newIdentity(memberId: string): Identity {
    const identity = newIdentity(memberId);
    this.identities.set(memberId, identity);
    return identity;
  }

  get generation(): number {
    return this.tokens.length;
  }

  /** Bound to the newest token, and to be carried out by the first HSM, unless `binding` says otherwise. */
  command(change: Change, binding: Partial<Binding> = {}): NewDomainChange {
    const { domain } = this.anchor;
    const newest = this.tokens.at(-1);
    const previousHash = newest === undefined ? Buffer.alloc(32) : tokenHash(newest);
    const preparer = change.name === 'LeaveDomain' ? change.body.memberId : this.hsms[0]!.memberId;
    const bound = { domain, generation: this.generation, previousHash, preparer, ...binding };
    const unwitnessed = leavesAlone(change, this.#newest?.members ?? [], bound.preparer);
    return { unwitnessed, ...bound, ...change } as NewDomainChange;
  }

  get #newest(): DomainState | undefined {
    const newest = this.tokens.at(-1);
    return newest && parseToken(newest).state;
  }

  propose(change: Change, signers: readonly TestOperator[] = this.people, by = this.hsms[0]!): Buffer {
    const binding = change.name === 'LeaveDomain' ? {} : { preparer: by.memberId };
    return signedBy(this.command(change, binding), signers);
  }

  /**
   * The next token, made by the first HSM (or `by`), with its witness, and installed nowhere. An HSM makes one of each
   * generation: asked again, it gives that.
   */
  prepare(change: Change, signers = this.people, by = this.hsms[0]!): Buffer {
    return this.witnessed(this.make(change, signers, by));
  }

  /** The same without its witness. */
  make(change: Change, signers = this.people, by = this.hsms[0]!): Buffer {
    return by.prepare(this.propose(change, signers, by), this.tokens.at(-1));
  }

  /** With the signature of a member that may witness it, and does so unseen; as it is, if it needs no witness. */
  witnessed(token: Uint8Array): Buffer {
    const parsed = parseToken(token);
    const members = mayWitness(parsed, parsed.previousHash && this.#newest?.members);
    if (members === undefined) return Buffer.from(token);
    const witness = members.find(({ memberId, signingKey }) =>
      this.identities.get(memberId)?.signingKey.equals(signingKey),
    );
    if (witness === undefined) throw new Error(`nobody may witness token ${parsed.state.generation}`);
    return withWitness(parsed, this.checkBy(witness.memberId, token));
  }

  /** What a member signs that has opened the token, whether this one has or not; `said`: what it says otherwise. */
  checkBy(memberId: string, token: Uint8Array, said: Partial<Parameters<typeof signCheck>[0]> = {}): Buffer {
    const check = { domain: this.anchor.domain, memberId, tokenHash: tokenHash(token), ...said };
    return signCheck(check, (message) => this.identities.get(memberId)!.sign(message));
  }

  /** Prepares, stores, installs on every HSM. */
  step(change: Change, signers = this.people, by = this.hsms[0]!): Buffer {
    const token = this.prepare(change, signers, by);
    this.tokens.push(token);
    for (const hsm of this.hsms) hsm.install([token]);
    return token;
  }

  rotate(): Buffer {
    return this.step(rotation);
  }

  drop(...ids: string[]): Buffer {
    return this.step({ name: 'DropDomainKeys', body: { ids } });
  }

  retire(...ids: string[]): Buffer {
    return this.step({ name: 'RetireDomainKeys', body: { ids } });
  }
}

/** Whether the CLI proposes this change as one that needs no witness, because it can have none. */
export function leavesAlone(change: Change, members: readonly Member[], preparer: string): boolean {
  if (change.name !== 'ModifyMembers' || change.body.admit.length > 0) return false;
  return witnessesFor(members, change, preparer).length === 0;
}

/** Those who may witness a token that follows on these members; undefined if it needs no witness. */
export function mayWitness(
  { state, signerId, proposal }: DomainToken,
  before: readonly Member[] = state.members,
): readonly Member[] | undefined {
  const isNeeded = needsWitness(before, parseDomainChange(proposal.command), signerId);
  return isNeeded ? witnessesOf(before, state.members, signerId) : undefined;
}

export const testSealKey = newSealKey(createSecretKey(Buffer.alloc(32, 7)).export(), randomBytes);

export function signedBy(command: NewDomainChange, signers: readonly TestOperator[]): Buffer {
  return Proposal.encode(signers.reduce(signProposal, newProposal(command)));
}

/** The same ModifyOperators in the first release's form, which makes no domain key: only the label differs. */
export function inFirstForm(command: Uint8Array): Buffer {
  const text = Buffer.from(command).toString('latin1').replace('/modify-operators/2', '/modify-operators/1');
  return Buffer.from(text, 'latin1');
}

/** A RotateDomainKeys of version 3 in the form of version 2, which ends before `unwitnessed`. */
export function inVersion2(rotationCommand: Uint8Array): Buffer {
  const text = Buffer.from(rotationCommand).toString('latin1').replace('domain-command/3', 'domain-command/2');
  return Buffer.from(text, 'latin1').subarray(0, -1);
}

export function memberOf(hsm: Hsm): NewMember {
  const { memberId, signingKey, agreementKey, encapsulationKey } = hsm.describe();
  return { memberId, signingKey, agreementKey, encapsulationKey: encapsulationKey! };
}

/** A token with parts of it replaced, signed again by a member whom the attacker owns, and without its witness. */
export function forgedToken(
  token: Uint8Array,
  signer: Identity,
  change: (header: TokenHeader, state: DomainState) => Partial<TokenHeader>,
): Buffer {
  const { header, iv, sealed } = parseToken(token);
  const fields = TokenHeader.decode(header);
  const changed = { ...fields, ...change(fields, DomainState.decode(fields.state)) };
  const body = TokenBody.encode({ header: TokenHeader.encode(changed), iv, sealed });
  return TokenEnvelope.encode({ body, signature: signer.sign(body) });
}

/** A token that verifies and opens, whose domain keys are others under the same ids. */
export function withOtherKeys(token: Uint8Array, signer: Identity): Buffer {
  const { state, previousHash, proposal } = parseToken(token);
  const domainKeys = state.domainKeys.map(({ id }) => ({ id, key: newSecretKey(randomBytes) }));
  const secrets = { domainKeys, materialIdKey: newSecretKey(randomBytes) };
  return atOnce(sealDomainToken({ state, previousHash, proposal, secrets }, signer, randomBytes));
}

/**
 * Two hostile members, one that makes and one that confirms: the next token has other keys, and the `more` after it go
 * on with these. Returns the number of the first.
 */
export function replaceKeys(domain: TestDomain, { more }: { more: number }): number {
  const maker = domain.identities.get('hsm-1')!;
  domain.tokens.push(domain.witnessed(withOtherKeys(domain.prepare(rotation), maker)));
  const first = domain.generation;
  const liar = domain.newHsm('hsm-1', maker.seal(testSealKey));
  liar.install(domain.tokens);
  for (let i = 0; i < more; i++) {
    domain.tokens.push(domain.prepare(rotation, domain.people, liar));
    liar.install(domain.tokens);
  }
  return first;
}

/** A token that verifies and whose DKEK `wrap` seals for each member, for some of them perhaps wrongly. */
export function wrappedBy(
  token: Uint8Array,
  signer: Identity,
  wrap: (dkek: Buffer, member: Member, state: DomainState) => WrappedKey,
): Buffer {
  const parsed = parseToken(token);
  const fields = TokenHeader.decode(parsed.header);
  const dkek = randomBytes(32);
  const wrappedKeys = parsed.state.members.map((member) => wrap(dkek, member, parsed.state));
  const header = TokenHeader.encode({ ...fields, wrappedKeys });
  const secrets = encodeSecrets(openDomainToken(parsed, signer));
  const sealed = Buffer.concat(seal({ key: dkek, iv: parsed.iv, associatedData: header }, secrets));
  const body = TokenBody.encode({ header, iv: parsed.iv, sealed });
  return TokenEnvelope.encode({ body, signature: signer.sign(body) });
}

/** A token that verifies and opens for all members but these. */
export function sealedNotFor(victims: readonly string[], token: Uint8Array, signer: Identity): Buffer {
  return wrappedBy(token, signer, (dkek, member, state) =>
    wrapDkek(victims.includes(member.memberId) ? randomBytes(32) : dkek, member, state),
  );
}

/** A token that verifies and that no member can open, signed by `sign`. */
export async function sealedForNobody(
  token: Uint8Array,
  sign: (body: Buffer) => Uint8Array | Promise<Uint8Array>,
): Promise<Buffer> {
  const { header, iv, sealed } = parseToken(token);
  const body = TokenBody.encode({ header, iv, sealed: randomBytes(sealed.length) });
  return TokenEnvelope.encode({ body, signature: await sign(body) });
}

/** The code of the `DomainError` that `run` throws. */
export function refusalOf(run: () => unknown): DomainErrorCode | 'accepted' {
  try {
    run();
  } catch (error) {
    if (error instanceof DomainError) return error.code;
    throw error;
  }
  return 'accepted';
}
