import { hash, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import { bytes, defineFormat, type Format } from '../encoding/canonical.ts';
import { decodeOrRefuse, signatureLength, signBytes } from './signature.ts';
import { backupHorizonMs, domainKeyId, domainName, entityId, members, operators, rules } from './state.ts';

/** What each domain command says. CreateDomain makes generation 1; the others change the state they are bound to. */
const bodies = {
  CreateDomain: body('create-domain', { members, operators, rules, backupHorizonMs }),
  /** Makes a new domain key; `drop` lists deactivated ones that nothing needs any more. */
  RotateDomainKeys: body('rotate-domain-keys', { drop: z.array(domainKeyId).max(4096) }),
  /** Removing anyone also makes a new domain key, which the removed never see. */
  ModifyMembers: body('modify-members', { admit: members, remove: z.array(entityId).max(256) }),
  ModifyOperators: body('modify-operators', { admit: operators, remove: z.array(entityId).max(1024) }),
  /** Replaces all rules. */
  ModifyRules: body('modify-rules', { rules, backupHorizonMs }),
  /** Makes no token: the member erases its keys and its identity. */
  LeaveDomain: body('leave-domain', { memberId: entityId }),
} as const;

function body<S extends z.ZodRawShape>(name: string, shape: S): Format<z.output<z.ZodObject<S>>> {
  return defineFormat(`keyfleet/domain-command/${name}/1`, z.object(shape));
}

export type DomainCommandName = keyof typeof bodies;
const names = Object.keys(bodies) as [DomainCommandName, ...DomainCommandName[]];

/** Bound to one domain and to one generation of its state (0: CreateDomain), so that it works once and nowhere else. */
interface Command<N extends DomainCommandName> {
  readonly domain: string;
  readonly generation: number;
  readonly name: N;
  readonly body: ReturnType<(typeof bodies)[N]['decode']>;
}
export type DomainCommand = { [N in DomainCommandName]: Command<N> }[DomainCommandName];

const CommandEnvelope = defineFormat(
  'keyfleet/domain-command/1',
  z.object({ domain: domainName, generation: z.int().min(0), name: z.enum(names), body: bytes() }),
);

/** The bytes that operators sign. */
export function encodeCommand({ domain, generation, name, body: content }: DomainCommand): Buffer {
  return CommandEnvelope.encode({ domain, generation, name, body: (bodies[name] as Format<unknown>).encode(content) });
}

/** Throws `DomainError('malformed')`. */
export function parseCommand(input: Uint8Array): DomainCommand {
  const envelope = decodeOrRefuse(CommandEnvelope, input);
  return { ...envelope, body: decodeOrRefuse<unknown>(bodies[envelope.name], envelope.body) } as DomainCommand;
}

export const signature = bytes({ min: signatureLength, max: signatureLength });

/** A domain command and the operators' signatures over its bytes. */
export const Proposal = defineFormat(
  'keyfleet/domain-proposal/1',
  z.object({ command: bytes(), signatures: z.array(z.object({ operatorId: entityId, signature })).max(1024) }),
);
export type Proposal = ReturnType<typeof Proposal.decode>;
export type OperatorSignature = Proposal['signatures'][number];

/** An operator who can sign. */
export interface Signer {
  readonly operatorId: string;
  readonly privateKey: KeyObject;
}

/** Throws `DomainError('malformed')`. */
export function parseProposal(input: Uint8Array): Proposal {
  return decodeOrRefuse(Proposal, input);
}

/** SHA-256 of the command, hexadecimal: the same however many have signed. */
export function proposalId({ command }: Proposal): string {
  return hash('sha256', command);
}

/** A proposal that nobody has signed yet. */
export function newProposal(command: DomainCommand): Proposal {
  return { command: encodeCommand(command), signatures: [] };
}

export function signProposal(proposal: Proposal, { operatorId, privateKey }: Signer): Proposal {
  return withSignature(proposal, { operatorId, signature: signBytes(privateKey, proposal.command) });
}

/** Replaces an earlier signature of the same operator. */
export function withSignature(proposal: Proposal, added: OperatorSignature): Proposal {
  const others = proposal.signatures.filter(({ operatorId }) => operatorId !== added.operatorId);
  return { command: proposal.command, signatures: [...others, added] };
}
