import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js';
import { DomainManager } from '@keyfleet/proto';
import type { DomainManagerHandlers } from '@keyfleet/proto/gen/keyfleet/domain/v1/DomainManager';
import type { Proposal as ProposalMessage } from '@keyfleet/proto/gen/keyfleet/domain/v1/Proposal';
import type { StatusResponse } from '@keyfleet/proto/gen/keyfleet/domain/v1/StatusResponse';
import { type DomainCommand, Proposal } from '@keyfleet/shared/domain/proposal';
import type { Log } from '@keyfleet/shared/log';
import { promisify } from 'node:util';
import { ProposalRefusedError, type Proposals } from './proposals.ts';
import { PeerLimit, type Rate } from '@keyfleet/shared/request-limit';
import type { Clock } from '@keyfleet/shared/clock';
import type { StoredProposal } from './store/store.ts';
import { type Head, type TokenLog, TokenLogError } from './token-log.ts';

/** A token of 256 members and 4096 domain keys is below 1 MB. */
const MAX_REQUEST_BYTES = 1024 * 1024;
const GRACE_MS = 2_000;
/** Each peer's: workers and frontends look every few seconds, and many of them may stand behind one address. */
const READ_RATE: Rate = { perSecond: 200, burst: 1000 };
/** Each peer's: a proposal, a signature or a token is verified before anyone knows who sent it. */
const WRITE_RATE: Rate = { perSecond: 20, burst: 50 };

export interface ServerDeps {
  readonly tokens: TokenLog;
  readonly proposals: Proposals;
  readonly status: () => Promise<StatusResponse>;
  /** Asked before a token is stored. Throws TokenLogError. */
  readonly confirm: (next: Head) => Promise<void>;
  /** What a proposal that has all its signatures waits for; undefined: nothing that is known here. */
  readonly waitsFor: (command: DomainCommand) => string | undefined;
  readonly clock: Clock;
  /** A proposal or a token was stored, or a proposal signed. */
  readonly onChange: () => void;
  readonly log: Log;
}

/** Listens on `address` ("host:port"). Disposing of it finishes what is running. */
export async function startServer(address: string, deps: ServerDeps): Promise<AsyncDisposable> {
  const server = new Server({ 'grpc.max_receive_message_length': MAX_REQUEST_BYTES });
  server.addService(DomainManager.service, handlersOf(deps));
  await promisify(server.bindAsync.bind(server))(address, ServerCredentials.createInsecure());
  return {
    async [Symbol.asyncDispose]() {
      const force = setTimeout(() => server.forceShutdown(), GRACE_MS);
      await promisify(server.tryShutdown.bind(server))();
      clearTimeout(force);
    },
  };
}

function handlersOf({
  tokens,
  proposals,
  status: readStatus,
  confirm,
  waitsFor,
  clock,
  onChange,
  log,
}: ServerDeps): DomainManagerHandlers {
  const reads = answering(log, new PeerLimit(clock, READ_RATE));
  const writes = answering(log, new PeerLimit(clock, WRITE_RATE));
  /** What was verified before is still true when the store cannot be asked; with nothing verified there is nothing to say. */
  const refreshIfPossible = async (): Promise<void> => {
    try {
      await tokens.refresh();
    } catch (error) {
      if (tokens.head === undefined) throw error;
      log.warn({ err: error }, 'the stored tokens could not be read');
    }
  };
  const messageOf = (stored: StoredProposal): ProposalMessage => proposalMessage(stored, proposals, waitsFor);
  return {
    FetchTokens: reads(async ({ after_generation: after = 0 }) => {
      await refreshIfPossible();
      return { tokens: tokens.page(after) };
    }),
    Propose: writes(async ({ proposal }) => {
      await tokens.refresh();
      const stored = await proposals.propose(proposal ?? Buffer.alloc(0));
      onChange();
      return messageOf(stored);
    }),
    Approve: writes(async ({ proposal_id: id = '', operator_id: operatorId = '', signature }) => {
      await tokens.refresh();
      const stored = await proposals.approve(id, { operatorId, signature: signature ?? Buffer.alloc(0) });
      onChange();
      return messageOf(stored);
    }),
    StoreToken: writes(async ({ token }) => {
      await tokens.refresh();
      if (!(await appended(token ?? Buffer.alloc(0), { tokens, confirm }))) {
        throw new RejectedError(status.ABORTED, 'another token of this generation was stored first');
      }
      onChange();
      return { generation: tokens.generation };
    }),
    ListProposals: reads(async () => {
      await tokens.refresh();
      return { proposals: (await proposals.list()).map(messageOf) };
    }),
    Status: reads(readStatus),
  };
}

/** Whoever sends it: only a member can have made a token that verifies. */
async function appended(token: Buffer, { tokens, confirm }: Pick<ServerDeps, 'tokens' | 'confirm'>): Promise<boolean> {
  try {
    return await tokens.append(token, confirm);
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

/** A handler that answers what it is given, or an error that says no more than the caller needs. */
function answering(log: Log, limit: PeerLimit) {
  const answer = async <Response>(
    handle: () => Promise<Response>,
    callback: sendUnaryData<Response>,
  ): Promise<void> => {
    try {
      callback(null, await handle());
    } catch (error) {
      const rejected = rejectionOf(error);
      if (isOurs(rejected)) log.error({ err: error }, 'a request failed');
      callback({ code: rejected.code, details: rejected.message });
    }
  };
  return <Request, Response>(handle: (request: Request) => Promise<Response>) =>
    (call: ServerUnaryCall<Request, Response>, callback: sendUnaryData<Response>): void => {
      if (limit.take(call.getPeer())) return void answer(() => handle(call.request), callback);
      callback({ code: status.RESOURCE_EXHAUSTED, details: 'too many requests: try again in a second' });
    };
}

/** Whether the trouble is this service's or its store's, and not the caller's. */
function isOurs({ code }: RejectedError): boolean {
  return code === status.DATA_LOSS || code === status.INTERNAL;
}

/** Never UNAVAILABLE, which is what a caller sees who does not reach this service at all. */
function rejectionOf(error: unknown): RejectedError {
  if (error instanceof RejectedError) return error;
  if (error instanceof TokenLogError) return new RejectedError(status.DATA_LOSS, error.message);
  if (error instanceof Error && error.message.startsWith('WRONGTYPE')) {
    return new RejectedError(
      status.DATA_LOSS,
      'what stands in the store is not what it stored: restore it from a backup',
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
      standing.standing === 'ready' ? (waitsFor(standing.command) ?? '') : 'reason' in standing ? standing.reason : '',
    expires_at: expiresAt,
    generation: 'generation' in standing ? standing.generation : 0,
  };
}
