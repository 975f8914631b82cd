import { setTimeout as delay } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { Hsm } from '@keyfleet/proto';
import { ofFewFields } from '@keyfleet/proto/fields';
import type { HsmHandlers } from '@keyfleet/proto/gen/keyfleet/hsm/v1/Hsm';
import type { HsmDescription as DescriptionMessage } from '@keyfleet/proto/gen/keyfleet/hsm/v1/HsmDescription';
import { monotonicClock, systemClock } from '@keyfleet/shared/clock';
import type { Address } from '@keyfleet/shared/config';
import { DomainError } from '@keyfleet/shared/domain/domain-error';
import { answering, type GrpcServer, startGrpcServer } from '@keyfleet/shared/grpc/server';
import type { TokenFollower } from '@keyfleet/shared/token-follower';
import { PeerLimit, type Rate } from '@keyfleet/shared/request-limit';
import type { TlsFiles } from '@keyfleet/shared/tls/tls-files';
import { HELD_TOKENS } from './boundary/domain/held-chain.ts';
import type { SessionService } from './boundary/session-service.ts';
import type { DomainCalls } from './domain-calls.ts';
import type { WorkerEvents } from './events.ts';
import { type ExecuteCall, HostStreams, refused } from './host-streams.ts';
import type { DurableHsm } from './durable-hsm.ts';

export interface WorkerServerOptions {
  readonly address: Pick<Address, 'host' | 'port'>;
  readonly tls: TlsFiles | undefined;
  readonly health?: Address | undefined;
  readonly sessions: SessionService;
  readonly hsm: DurableHsm;
  readonly calls: DomainCalls;
  /** Installs what the domain-managers of the configuration show. */
  readonly follower: Pick<TokenFollower, 'refresh'>;
  readonly events: WorkerEvents;
  readonly drainMs: number;
}

/** The worker's gRPC shell: it passes bytes to and from the boundary, and counts. Throws if the address is taken. */
export async function startWorkerServer(options: WorkerServerOptions): Promise<AsyncDisposable> {
  const { address, tls, health, hsm, drainMs } = options;
  const streams = new HostStreams(options);
  const server: GrpcServer = await startGrpcServer({
    address,
    tls,
    health,
    service: ofFewFields(Hsm.service),
    handlers: { ...handlersOf(options, (call) => streams.add(call, () => server.prove(call.metadata))) },
    limits: limits(),
    isServing: () => hsm.serves,
    drainMs,
  });
  return {
    async [Symbol.asyncDispose]() {
      const closed = server[Symbol.asyncDispose]();
      streams[Symbol.dispose]();
      await closed;
    },
  };
}

/** How long the leading domain-manager waits for what a worker fetches. */
const FETCH_MS = 10_000;

/** Rates per peer. Public data is cheap, ... */
const DESCRIBE_RATE: Rate = { perSecond: 100, burst: 500 };
/** ... but a token, of up to megabytes, which is asked for where the store lost it, and then with all others, ... */
const HELD_RATE: Rate = { perSecond: 1, burst: HELD_TOKENS };
/** ... a signed call costs a verification before its caller is known, ... */
const CALL_RATE: Rate = { perSecond: 20, burst: 100 };
/** ... and these calls also read megabytes before that. A domain-manager sends tokens one page after the other. */
const TOKENS_RATE: Rate = { perSecond: 10, burst: 40 };
/**
 * Hellos and streams of one peer. Each costs milliseconds of the thread pool, and a frontend needs one of each every
 * half hour.
 */
const HANDSHAKE_RATE: Rate = { perSecond: 10, burst: 100 };

/**
 * Message limits in bytes: a session message, a signed call, a proposal with its signatures, a page of tokens or one
 * with its proposal.
 */
const [HANDSHAKE_BYTES, CALL_BYTES, PROPOSAL_BYTES, TOKENS_BYTES] = [32_768, 4_096, 65_536, 4 * 1024 * 1024];

function limits() {
  const describe = new PeerLimit(monotonicClock, DESCRIBE_RATE);
  const calls = new PeerLimit(monotonicClock, CALL_RATE);
  const tokens = new PeerLimit(monotonicClock, TOKENS_RATE);
  const handshakes = new PeerLimit(monotonicClock, HANDSHAKE_RATE);
  return {
    Describe: { maxBytes: CALL_BYTES, rate: describe },
    FetchHeldToken: { maxBytes: CALL_BYTES, rate: new PeerLimit(monotonicClock, HELD_RATE) },
    NegotiateSession: { maxBytes: HANDSHAKE_BYTES, rate: handshakes },
    Execute: { maxBytes: HANDSHAKE_BYTES, rate: handshakes },
    PrepareDomainToken: { maxBytes: TOKENS_BYTES, rate: tokens },
    CheckDomainToken: { maxBytes: TOKENS_BYTES, rate: tokens },
    InstallDomainTokens: { maxBytes: TOKENS_BYTES, rate: tokens },
    ActivateDomainKey: { maxBytes: CALL_BYTES, rate: calls },
    LeaveDomain: { maxBytes: PROPOSAL_BYTES, rate: calls },
  };
}

const empty = Buffer.alloc(0);

function handlersOf(
  { hsm, calls, sessions, follower, events }: WorkerServerOptions,
  execute: (call: ExecuteCall) => void,
): HsmHandlers {
  const domainCall = answering((error, path) => {
    events.domainCallRefused(path, error);
    return answerTo(error);
  });
  const sessionCall = answering(() => {
    events.sessionRefused();
    return refused;
  });
  return {
    Describe: domainCall(() => descriptionOf(hsm.describe())),
    FetchHeldToken: domainCall(async ({ generation = 0 }) => ({
      token: Buffer.from((await hsm.heldToken(generation)) ?? empty),
    })),
    NegotiateSession: sessionCall(async ({ hello = empty }) => {
      const answer = await sessions.negotiate(hello);
      events.sessionNegotiated();
      return { answer: Buffer.from(answer) };
    }),
    Execute: execute,
    PrepareDomainToken: domainCall(async ({ call, proposal = empty, current }) => {
      calls.assertPrepare(call, proposal, current);
      return { token: Buffer.from(await hsm.prepare(proposal, current)) };
    }),
    CheckDomainToken: domainCall(async ({ call, token = empty }) => {
      const asked = calls.assertCheck(call, token);
      return { check: Buffer.from(await hsm.check(token, asked)) };
    }),
    InstallDomainTokens: domainCall(async ({ call, tokens = [] }) => {
      const generation = calls.assertInstall(call, tokens);
      await Promise.race([follower.refresh(), delay(FETCH_MS, undefined, { ref: false })]);
      const description = hsm.describe();
      if (description.generation < generation) throw notShown(generation);
      return descriptionOf(description);
    }),
    LeaveDomain: domainCall(async ({ call, proposal = empty }) => {
      calls.assertLeave(call, proposal);
      return descriptionOf(await hsm.leave(proposal));
    }),
    ActivateDomainKey: domainCall(({ call, generation = 0 }) => {
      calls.assertActivate(call, generation);
      return descriptionOf(hsm.activate(generation));
    }),
  };
}

/**
 * Whoever has a scheduler's key alone would have members take tokens that are stored nowhere, and from which alone the
 * domain could go on.
 */
function notShown(generation: number): DomainError {
  const where = 'the domain-managers in its configuration';
  return new DomainError('not-shown', `this worker has no domain token ${generation} from ${where}: its log says why`);
}

/** A domain refusal includes its reason: everything that it judges is public. */
function answerTo(error: unknown): { code: status; details: string } {
  if (!(error instanceof DomainError)) return { code: status.INTERNAL, details: 'internal error' };
  const code = error.code === 'unauthorized-call' ? status.PERMISSION_DENIED : status.FAILED_PRECONDITION;
  return { code, details: `${error.code}: ${error.message}` };
}

function descriptionOf(description: ReturnType<DurableHsm['describe']>): DescriptionMessage {
  return {
    member_id: description.memberId,
    signing_key: Buffer.from(description.signingKey),
    agreement_key: Buffer.from(description.agreementKey),
    ...(description.encapsulationKey && { encapsulation_key: Buffer.from(description.encapsulationKey) }),
    domain: description.domain,
    generation: description.generation,
    token_hash: Buffer.from(description.tokenHash),
    active_generation: description.activeGeneration,
    now: systemClock.now(),
  };
}
