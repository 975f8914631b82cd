import { hash, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import { bytes, defineFormat, type Format, isLabelled } from '../encoding/canonical.ts';
import { DomainError } from './domain-error.ts';
import { decodeOrRefuse, signatureLength, signBytes } from './signature.ts';
import {
  backupHorizonMs,
  domainKeyId,
  domainName,
  type DomainVersion,
  entityId,
  type Member,
  membersV1,
  newMembers,
  newMembersV2,
  operators,
  rules,
  rulesV1,
  sha256Hash,
  type VerifiedDomain,
} from './state.ts';

const ids = z.array(domainKeyId).min(1).max(4096);
const removed = z.array(entityId).max(256);
const modifiedOperators = { admit: operators, remove: z.array(entityId).max(1024) };
const leaveDomain = body('leave-domain/1', { memberId: entityId });

/** The body of each domain change. CreateDomain makes generation 1; the others change the state they are bound to. */
const bodies = {
  CreateDomain: body('create-domain/3', { members: newMembers, operators, rules, backupHorizonMs }),
  /** Makes a new domain key. */
  RotateDomainKeys: body('rotate-domain-keys/2', {}),
  /** These open nothing from now on. */
  RetireDomainKeys: body('retire-domain-keys/1', { ids }),
  /** Reopens retired keys: a backup may hold tokens under them. */
  ReinstateDomainKeys: body('reinstate-domain-keys/1', { ids }),
  /** Members forget these keys. */
  DropDomainKeys: body('drop-domain-keys/1', { ids }),
  /** Removing anyone also makes a new domain key, which the removed members never see. */
  ModifyMembers: body('modify-members/3', { admit: newMembers, remove: removed }),
  /** Removing a service host also makes a new domain key; the host has seen nothing sealed under it. */
  ModifyOperators: body('modify-operators/2', modifiedOperators),
  /** Replaces all rules. */
  ModifyRules: body('modify-rules/2', { rules, backupHorizonMs }),
  /** Makes no token. The member erases its keys and its identity. */
  LeaveDomain: leaveDomain,
} as const;

const bodiesV2 = {
  ...bodies,
  CreateDomain: body('create-domain/2', { members: newMembersV2, operators, rules, backupHorizonMs }),
  ModifyMembers: body('modify-members/2', { admit: newMembersV2, remove: removed }),
} as const;

const bodiesV1 = {
  CreateDomain: body('create-domain/1', { members: membersV1, operators, rules: rulesV1, backupHorizonMs }),
  /** `drop` lists deactivated keys that nothing needs any more. */
  RotateDomainKeys: body('rotate-domain-keys/1', { drop: z.array(domainKeyId).max(4096) }),
  ModifyMembers: body('modify-members/1', { admit: membersV1, remove: removed }),
  /** Makes no domain key. Commands of version 2 include it too. */
  ModifyOperators: body('modify-operators/1', modifiedOperators),
  ModifyRules: body('modify-rules/1', { rules: rulesV1, backupHorizonMs }),
  LeaveDomain: leaveDomain,
} as const;

function body<S extends z.ZodRawShape>(name: string, shape: S): Format<z.output<z.ZodObject<S>>> {
  return defineFormat(`keyfleet/domain-command/${name}`, z.object(shape));
}

type BodyOf<F> = F extends Format<infer T> ? T : never;
type NewBodies = { readonly [N in DomainChangeName]: BodyOf<(typeof bodies)[N]> };
/** Covers changes of all versions. */
interface Bodies extends Omit<NewBodies, 'CreateDomain' | 'RotateDomainKeys' | 'ModifyMembers' | 'ModifyOperators'> {
  readonly CreateDomain: Omit<NewBodies['CreateDomain'], 'members'> & { readonly members: Member[] };
  readonly RotateDomainKeys: { readonly drop?: readonly string[] };
  readonly ModifyMembers: { readonly admit: Member[]; readonly remove: string[] };
  /** `keepsDomainKeys`: it is from the first release, and makes no domain key whomever it removes. */
  readonly ModifyOperators: NewBodies['ModifyOperators'] & { readonly keepsDomainKeys?: true };
}

export type DomainChangeName = keyof typeof bodies;
const names = Object.keys(bodies) as [DomainChangeName, ...DomainChangeName[]];
const namesV1 = Object.keys(bodiesV1) as [keyof typeof bodiesV1, ...(keyof typeof bodiesV1)[]];

/** What a domain change applies to, and which member carries it out: it works once and nowhere else. */
export interface Binding {
  readonly domain: string;
  /** The generation of the state that it changes; 0 for CreateDomain. */
  readonly generation: number;
  /**
   * The hash of the token that made that state; zeros for CreateDomain. After a recovery the same generation may recur,
   * but not the same token.
   */
  readonly previousHash: Uint8Array;
  /**
   * The only member that may make the token, so that there is only one token; for LeaveDomain, the member that leaves.
   */
  readonly preparer: string;
}

interface Bound<N extends DomainChangeName, B> extends Binding {
  readonly name: N;
  readonly body: B;
}
/** What may be signed now. */
export type NewDomainChange = {
  [N in DomainChangeName]: Bound<N, NewBodies[N]> & {
    /**
     * The preparer's word is enough: no other member confirms the token (`assertWitnessed`). For those who may change
     * the members, where all are lost that could.
     */
    readonly unwitnessed?: boolean;
  };
}[DomainChangeName];
type Unbound<C> = C extends NewDomainChange ? Pick<C, 'name' | 'body'> : never;
/** A domain change before it is bound to the current domain. */
export type UnboundChange = Unbound<NewDomainChange>;
/** What a token or a proposal contains. A change of version 1 names no preparer and no hash: both are empty here. */
export type DomainChange = {
  [N in DomainChangeName]: Bound<N, Bodies[N]> & { readonly version: DomainVersion; readonly unwitnessed: boolean };
}[DomainChangeName];

const DomainChangeV1 = defineFormat(
  'keyfleet/domain-command/1',
  z.object({ domain: domainName, generation: z.int().min(0), name: z.enum(namesV1), body: bytes() }),
);
const changeV2 = z.object({
  domain: domainName,
  generation: z.int().min(0),
  previousHash: sha256Hash,
  preparer: entityId,
  name: z.enum(names),
  body: bytes(),
});
const DomainChangeV2 = defineFormat('keyfleet/domain-command/2', changeV2);
const DomainChangeV3 = defineFormat('keyfleet/domain-command/3', changeV2.extend({ unwitnessed: z.boolean() }));

/** For a change to the current domain. */
export function boundTo({ state, hash: previousHash }: VerifiedDomain, preparer: string): Binding {
  return { domain: state.domain, generation: state.generation, previousHash, preparer };
}

/** For CreateDomain. */
export function boundToNothing(domain: string, preparer: string): Binding {
  return { domain, generation: 0, previousHash: Buffer.alloc(32), preparer };
}

/** The bytes that operators sign. */
export function encodeDomainChange({ body: content, unwitnessed = false, ...change }: NewDomainChange): Buffer {
  const encoded = (bodies[change.name] as Format<unknown>).encode(content);
  return DomainChangeV3.encode({ ...change, unwitnessed, body: encoded });
}

/** Throws `DomainError('malformed')`. */
export function parseDomainChange(input: Uint8Array): DomainChange {
  if (isLabelled(DomainChangeV1, input)) return parseDomainChangeV1(input);
  if (isLabelled(DomainChangeV2, input)) return parseDomainChangeV2(input);
  const envelope = decodeOrRefuse(DomainChangeV3, input);
  if (envelope.name === 'LeaveDomain' && envelope.unwitnessed) {
    throw new DomainError('malformed', 'LeaveDomain makes no token that another member could confirm');
  }
  return {
    version: 3,
    ...envelope,
    body: decodeOrRefuse<unknown>(bodies[envelope.name], envelope.body),
  } as DomainChange;
}

function parseDomainChangeV1(input: Uint8Array): DomainChange {
  const envelope = decodeOrRefuse(DomainChangeV1, input);
  const content = decodeOrRefuse<unknown>(bodiesV1[envelope.name], envelope.body);
  const body = envelope.name === 'ModifyOperators' ? keepingDomainKeys(content) : content;
  const unbound = { previousHash: Buffer.alloc(0), preparer: '', unwitnessed: false };
  return { version: 1, ...envelope, ...unbound, body } as DomainChange;
}

function parseDomainChangeV2(input: Uint8Array): DomainChange {
  const envelope = decodeOrRefuse(DomainChangeV2, input);
  const isOfFirstRelease = envelope.name === 'ModifyOperators' && isLabelled(bodiesV1.ModifyOperators, envelope.body);
  const body = isOfFirstRelease
    ? keepingDomainKeys(decodeOrRefuse<unknown>(bodiesV1.ModifyOperators, envelope.body))
    : decodeOrRefuse<unknown>(bodiesV2[envelope.name], envelope.body);
  return { version: 2, unwitnessed: false, ...envelope, body } as DomainChange;
}

function keepingDomainKeys(content: unknown): Bodies['ModifyOperators'] {
  return { ...(content as NewBodies['ModifyOperators']), keepsDomainKeys: true };
}

export const signature = bytes({ min: signatureLength, max: signatureLength });

/** A domain change, and the operators' signatures over its bytes. */
export const Proposal = defineFormat(
  'keyfleet/domain-proposal/1',
  // `command` is the first release's word for a domain change; stored proposals and answers keep it.
  z.object({ command: bytes(), signatures: z.array(z.object({ operatorId: entityId, signature })).max(1024) }),
);
export type Proposal = ReturnType<typeof Proposal.decode>;
export type OperatorSignature = Proposal['signatures'][number];

/** An operator with a key to sign. */
export interface Signer {
  readonly operatorId: string;
  readonly privateKey: KeyObject;
}

/** Throws `DomainError('malformed')`. */
export function parseProposal(input: Uint8Array): Proposal {
  return decodeOrRefuse(Proposal, input);
}

/** SHA-256 of the domain change, hexadecimal; independent of the signatures. */
export function proposalId({ command }: Proposal): string {
  return hash('sha256', command);
}

/** Whether `proposalId` may have given it: anything else names no proposal, and perhaps what somebody planted. */
export function isProposalId(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text);
}

/** A proposal without signatures. */
export function newProposal(change: NewDomainChange): Proposal {
  return { command: encodeDomainChange(change), signatures: [] };
}

export function signProposal(proposal: Proposal, { operatorId, privateKey }: Signer): Proposal {
  return withSignature(proposal, { operatorId, signature: signBytes(privateKey, proposal.command) });
}

/** Replaces an earlier signature by the same operator. */
function withSignature(proposal: Proposal, added: OperatorSignature): Proposal {
  const others = proposal.signatures.filter(({ operatorId }) => operatorId !== added.operatorId);
  return { command: proposal.command, signatures: [...others, added] };
}
