import { status } from '@grpc/grpc-js';
import { DomainManager } from '@keyfleet/proto';
import { ofFewFields } from '@keyfleet/proto/fields';
import type { DomainManagerHandlers } from '@keyfleet/proto/gen/keyfleet/domain/v1/DomainManager';
import type { Proposal as ProposalMessage } from '@keyfleet/proto/gen/keyfleet/domain/v1/Proposal';
import type { StatusResponse } from '@keyfleet/proto/gen/keyfleet/domain/v1/StatusResponse';
import { type DomainChange, isProposalId, Proposal } from '@keyfleet/shared/domain/proposal';
import type { DomainToken } from '@keyfleet/shared/domain/token';
import { ProposalRefusedError, type Proposals } from './proposals.ts';
import { answering, startGrpcServer } from '@keyfleet/shared/grpc/server';
import { isOfOtherType } from '@keyfleet/shared/redis/stored-values';
import { PeerLimit, type Rate } from '@keyfleet/shared/request-limit';
import type { TlsFiles } from '@keyfleet/shared/tls/tls-files';
import { monotonicClock } from '@keyfleet/shared/clock';
import type { DomainManagerEvents } from './events.ts';
import type { DomainManagerConfig } from './config.ts';
import type { StoredProposal } from './store/store.ts';
import { type TokenLog, TokenLogError } from './token-log.ts';
import { UnconfirmedError } from './witness.ts';

/** One that names 256 members, or 1024 operators, is below 1 MB. */
const PROPOSAL_BYTES = 1024 * 1024;
/**
 * The largest has 2.6 MB: 256 members, each in the state, with its wrapped key and in the proposal that admits it, 1024
 * operators and 4096 domain keys.
 */
export const TOKEN_BYTES = 3 * 1024 * 1024;
/** For queries, and for a signature. */
const SMALL_BYTES = 4096;
/** Per peer: workers and frontends look every few seconds, and many of them may be behind one address. */
const READ_RATE: Rate = { perSecond: 200, burst: 1000 };
/** Per peer: the list of all proposals may have 3 MiB; a command line that waits for one looks five times a second. */
const LIST_RATE: Rate = { perSecond: 20, burst: 100 };
/** Most lists have a few kilobytes. Of a peer four may be under way, and nine of all. */
const LIST_BYTES = 1024 * 1024;
/** Per peer: a proposal or a signature is verified before its sender is known, ... */
const WRITE_RATE: Rate = { perSecond: 20, burst: 50 };
/** ... and so is a token, which takes longest and which people send only at a recovery. */
const STORE_RATE: Rate = { perSecond: 1, burst: 10 };

const NO_PROPOSAL_ID = 'a proposal’s id has 64 hexadecimal digits, a to f in lower case: give all of them';

export interface ServerDeps {
  readonly tokens: TokenLog;
  readonly proposals: Proposals;
  readonly status: () => Promise<StatusResponse>;
  /** Called before a token is stored: see `TokenLog.append`. */
  readonly witnessOf: (made: DomainToken) => Promise<Uint8Array | undefined>;
  /** What a fully signed proposal waits for; undefined: nothing known here. */
  readonly waitsFor: (change: DomainChange) => string | undefined;
  /** Whether queries here can be answered. */
  readonly isServing: () => boolean;
  /** A proposal or a token was stored, or a proposal was signed. */
  readonly onChange: () => void;
  readonly events: DomainManagerEvents;
}

/** Disposing it finishes the running calls. Throws if the address is taken. */
export function startServer(
  { grpc, health, drain }: Pick<DomainManagerConfig, 'grpc' | 'health' | 'drain'>,
  tls: TlsFiles | undefined,
  deps: ServerDeps,
): Promise<AsyncDisposable> {
  return startGrpcServer({
    address: grpc,
    tls,
    health,
    service: ofFewFields(DomainManager.service),
    handlers: { ...handlersOf(deps) },
    limits: limits(),
    isServing: deps.isServing,
    drainMs: drain,
  });
}

function limits() {
  const reads = { maxBytes: SMALL_BYTES, rate: new PeerLimit(monotonicClock, READ_RATE) };
  const writes = new PeerLimit(monotonicClock, WRITE_RATE);
  return {
    FetchTokens: reads,
    ListProposals: {
      maxBytes: SMALL_BYTES,
      answerBytes: LIST_BYTES,
      rate: new PeerLimit(monotonicClock, LIST_RATE),
    },
    Status: reads,
    Propose: { maxBytes: PROPOSAL_BYTES, rate: writes },
    Approve: { maxBytes: SMALL_BYTES, rate: writes },
    StoreToken: { maxBytes: TOKEN_BYTES, rate: new PeerLimit(monotonicClock, STORE_RATE) },
  };
}

export function handlersOf({
  tokens,
  proposals,
  status: readStatus,
  witnessOf,
  waitsFor,
  onChange,
  events,
}: ServerDeps): DomainManagerHandlers {
  const answer = answering((error, path) => {
    const rejected = rejectionOf(error);
    if (isOurs(rejected)) events.requestFailed(path, error);
    return { code: rejected.code, details: rejected.message };
  });
  /**
   * What was verified before is still true if the store cannot be reached. If nothing was verified, there is nothing to
   * answer.
   */
  const refreshIfPossible = async (): Promise<void> => {
    try {
      await tokens.refresh();
    } catch (error) {
      if (tokens.head === undefined) throw error;
      events.tokensUnreadable(error);
    }
  };
  const messageOf = (stored: StoredProposal): ProposalMessage => proposalMessage(stored, proposals, waitsFor);
  /** Of everyone who shares the list. */
  const messages = new WeakMap<readonly StoredProposal[], ProposalMessage[]>();
  return {
    FetchTokens: answer(async ({ after_generation: after = 0 }) => {
      await refreshIfPossible();
      return { tokens: tokens.page(after) };
    }),
    Propose: answer(async ({ proposal }) => {
      await tokens.refresh();
      const stored = await proposals.propose(proposal ?? Buffer.alloc(0));
      onChange();
      return messageOf(stored);
    }),
    Approve: answer(async ({ proposal_id: id = '', operator_id: operatorId = '', signature }) => {
      if (!isProposalId(id)) throw new RejectedError(status.INVALID_ARGUMENT, NO_PROPOSAL_ID);
      await tokens.refresh();
      const stored = await proposals.approve(id, { operatorId, signature: signature ?? Buffer.alloc(0) });
      onChange();
      return messageOf(stored);
    }),
    StoreToken: answer(async ({ token }) => {
      await tokens.refresh();
      if (!(await appended(token ?? Buffer.alloc(0), { tokens, witnessOf }))) {
        throw new RejectedError(status.ABORTED, 'another token of this generation was stored first');
      }
      onChange();
      return { generation: tokens.generation };
    }),
    ListProposals: answer(async () => {
      await tokens.refresh();
      return { proposals: messages.getOrInsertComputed(await proposals.list(), (list) => list.map(messageOf)) };
    }),
    Status: answer(readStatus),
  };
}

/** Whoever sends it: only a member can have made a token that verifies. */
async function appended(
  token: Buffer,
  { tokens, witnessOf }: Pick<ServerDeps, 'tokens' | 'witnessOf'>,
): Promise<boolean> {
  try {
    return await tokens.append(token, witnessOf);
  } catch (error) {
    if (error instanceof TokenLogError) throw new RejectedError(status.INVALID_ARGUMENT, error.message);
    throw error;
  }
}

class RejectedError extends Error {
  readonly code: status;
  constructor(code: status, message: string) {
    super(message);
    this.code = code;
  }
}

/** Whether the problem is this service's or its store's, not the caller's. */
function isOurs({ code }: RejectedError): boolean {
  return code === status.DATA_LOSS || code === status.INTERNAL;
}

/** Never UNAVAILABLE: callers see that only if they do not reach this service at all. */
function rejectionOf(error: unknown): RejectedError {
  if (error instanceof RejectedError) return error;
  if (error instanceof TokenLogError) return new RejectedError(status.DATA_LOSS, error.message);
  if (error instanceof UnconfirmedError) return new RejectedError(status.ABORTED, `${error.message}: try again`);
  if (isOfOtherType(error)) {
    return new RejectedError(
      status.DATA_LOSS,
      'the store holds a value that it did not write: restore it from a backup',
    );
  }
  if (!(error instanceof ProposalRefusedError)) {
    return new RejectedError(status.INTERNAL, 'it cannot reach its store (Redis); its log says why');
  }
  const codes = { invalid: status.INVALID_ARGUMENT, 'not-found': status.NOT_FOUND, full: status.RESOURCE_EXHAUSTED };
  return new RejectedError(codes[error.reason], error.message);
}

function proposalMessage(
  stored: StoredProposal,
  proposals: Proposals,
  waitsFor: ServerDeps['waitsFor'],
): ProposalMessage {
  const { proposalId, command, signatures, expiresAt } = stored;
  const standing = proposals.standingOf(stored);
  return {
    proposal_id: proposalId,
    proposal: Proposal.encode({ command, signatures: [...signatures] }),
    standing: standing.standing,
    reason:
      standing.standing === 'ready' ? (waitsFor(standing.change) ?? '') : 'reason' in standing ? standing.reason : '',
    expires_at: expiresAt,
    generation: 'generation' in standing ? standing.generation : 0,
  };
}
