import {
  type handleUnaryCall,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import { Hsm } from '@keyfleet/proto';
import type { Frame, Frame__Output } from '@keyfleet/proto/gen/keyfleet/hsm/v1/Frame';
import type { HsmHandlers } from '@keyfleet/proto/gen/keyfleet/hsm/v1/Hsm';
import type { NegotiateRequest__Output } from '@keyfleet/proto/gen/keyfleet/hsm/v1/NegotiateRequest';
import type { NegotiateResponse } from '@keyfleet/proto/gen/keyfleet/hsm/v1/NegotiateResponse';
import type { HsmDescription as DescriptionMessage } from '@keyfleet/proto/gen/keyfleet/hsm/v1/HsmDescription';
import { systemClock } from '@keyfleet/shared/clock';
import { DomainError } from '@keyfleet/shared/domain/domain-error';
import { PeerLimit } from '@keyfleet/shared/request-limit';
import type { OpenStream, SessionService } from './boundary/session-service.ts';
import type { DomainCalls } from './domain-calls.ts';
import type { WorkerEvents } from './events.ts';
import type { DomainMembership } from './membership.ts';

/** A proposal and a domain token, or a page of tokens (1 MB): whoever connects may send so much. Frames are smaller. */
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

export interface WorkerServerOptions {
  readonly address: string;
  readonly sessions: SessionService;
  readonly membership: DomainMembership;
  readonly calls: DomainCalls;
  readonly events: WorkerEvents;
}

/** The worker's gRPC shell: it moves bytes to the boundary and back, and counts. Throws when the address is taken. */
export async function startWorkerServer(options: WorkerServerOptions): Promise<WorkerServer> {
  const server = new WorkerServer(options);
  await server.listen(options.address);
  return server;
}

export class WorkerServer implements AsyncDisposable {
  readonly #options: WorkerServerOptions;
  readonly #server = new Server({ 'grpc.max_receive_message_length': MAX_MESSAGE_BYTES });
  readonly #streams = new Set<ServerStream>();
  readonly #handshakes = new PeerLimit(systemClock, HANDSHAKES);
  /** Idle streams end as well when their session is over; one in use ends with its next frame. */
  readonly #sweep = setInterval(() => this.#streams.forEach((stream) => stream.endIfOver()), SWEEP_MS).unref();

  constructor(options: WorkerServerOptions) {
    this.#options = options;
    this.#server.addService(Hsm.service, { ...this.#handlers() });
  }

  listen(address: string): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(address, ServerCredentials.createInsecure(), (error, port) => {
        if (error === null) resolve(port);
        else reject(error);
      });
    });
  }

  /** Takes no more frames, answers what it took, ends every stream. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#sweep);
    const closed = new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve()));
    for (const stream of this.#streams) stream.finish();
    const timer = setTimeout(() => this.#server.forceShutdown(), SHUTDOWN_MS);
    await closed;
    clearTimeout(timer);
  }

  #handlers(): HsmHandlers {
    const { membership, calls, sessions, events } = this.#options;
    const answering = answeringWith(events);
    const described = new PeerLimit(systemClock, DESCRIBE_RATE);
    const called = new PeerLimit(systemClock, CALL_RATE);
    return {
      Describe: answering(described, () => descriptionOf(membership.describe())),
      NegotiateSession: (call, done) => void this.#negotiate(sessions, call, done),
      Execute: (call) => this.#execute(call),
      PrepareDomainToken: answering(called, async ({ call, proposal = empty, current }) => {
        calls.assertPrepare(call, proposal, current);
        const token = await membership.prepare(proposal, current);
        return { token: Buffer.from(token) };
      }),
      CheckDomainToken: answering(called, async ({ call, token = empty }) => {
        calls.assertCheck(call, token);
        await membership.check(token);
        return {};
      }),
      InstallDomainTokens: answering(called, async ({ call, tokens = [] }) => {
        calls.assertInstall(call, tokens);
        return descriptionOf(await membership.install(tokens));
      }),
      LeaveDomain: answering(called, async ({ call, proposal = empty }) => {
        calls.assertLeave(call, proposal);
        return descriptionOf(await membership.leave(proposal));
      }),
      ActivateDomainKey: answering(called, ({ call, generation = 0 }) => {
        calls.assertActivate(call, generation);
        return descriptionOf(membership.activate(generation));
      }),
    };
  }

  async #negotiate(
    sessions: SessionService,
    call: NegotiateCall,
    done: sendUnaryData<NegotiateResponse>,
  ): Promise<void> {
    const { events } = this.#options;
    if (!this.#handshakes.take(call.getPeer())) return done(tooMany);
    try {
      const answer = await sessions.negotiate(call.request.hello ?? empty);
      events.sessionNegotiated();
      done(null, { answer: Buffer.from(answer) });
    } catch {
      events.sessionRefused();
      done(refused);
    }
  }

  #execute(call: ExecuteCall): void {
    const { sessions, events } = this.#options;
    if (!this.#handshakes.take(call.getPeer())) return void call.emit('error', tooMany);
    const stream = new ServerStream(call, sessions, events);
    this.#streams.add(stream);
    for (const over of ['error', 'cancelled', 'close']) call.on(over, () => this.#streams.delete(stream));
  }
}

/** Each peer's: what is public costs little, ... */
const DESCRIBE_RATE = { perSecond: 100, burst: 500 };
/** ... and a signature is verified before a caller is known. */
const CALL_RATE = { perSecond: 20, burst: 100 };
const SHUTDOWN_MS = 3000;
const SWEEP_MS = 1000;
/** A host opens its stream at once, and itself waits two seconds for the answer. */
const OPEN_WITHIN_MS = 5000;
/** Hellos and streams of one peer. Each costs milliseconds of the thread pool, and a frontend needs one of each in half an hour. */
const HANDSHAKES = { perSecond: 10, burst: 100 };
const refused = { code: status.UNAUTHENTICATED, details: 'refused' };
const tooMany = { code: status.RESOURCE_EXHAUSTED, details: 'too many sessions and streams: try again in a second' };
const empty = Buffer.alloc(0);

type NegotiateCall = ServerUnaryCall<NegotiateRequest__Output, NegotiateResponse>;
type ExecuteCall = ServerDuplexStream<Frame__Output, Frame>;

/** One Execute call: the first message opens the stream in the boundary, the others are its frames. */
class ServerStream {
  readonly #call: ExecuteCall;
  readonly #sessions: SessionService;
  readonly #events: WorkerEvents;
  #stream: OpenStream | undefined;
  readonly #startedAt = performance.now();
  #opening = false;
  #finishing = false;
  #over = false;

  constructor(call: ExecuteCall, sessions: SessionService, events: WorkerEvents) {
    this.#call = call;
    this.#sessions = sessions;
    this.#events = events;
    call.on('data', ({ body }: Frame__Output) => this.#receive(body ?? empty));
    call.on('drain', () => call.resume());
    call.on('end', () => this.finish());
    for (const over of ['error', 'cancelled', 'close']) call.on(over, () => this.#close());
  }

  /** Takes no more frames; ends when everything taken is answered. */
  finish(): void {
    this.#finishing = true;
    this.#endIfFinished();
  }

  /** When its session is over: the host has the rest of its commands done on another stream. Also when none was ever shown. */
  endIfOver(): void {
    if (this.#stream?.valid === false) this.finish();
    const isSilent = !this.#opening && performance.now() - this.#startedAt > OPEN_WITHIN_MS;
    if (isSilent && !this.#finishing) this.#refuse();
  }

  #receive(body: Buffer): void {
    this.endIfOver();
    if (this.#finishing) return;
    if (this.#stream === undefined) return void this.#open(body);
    try {
      this.#stream.receive(body);
    } catch {
      this.#refuse();
    }
  }

  async #open(body: Buffer): Promise<void> {
    // A host that sends frames before it has the keys for them is none.
    if (this.#opening) return this.#refuse();
    this.#opening = true;
    try {
      this.#stream = await this.#sessions.openStream(body, (frame) => this.#send(frame));
      this.#events.streamOpened();
      if (this.#over) this.#stream.close();
    } catch {
      if (!this.#over) this.#refuse();
    }
  }

  /** One answer whatever it was: a frame that does not open, a token that does not. */
  #refuse(): void {
    this.#events.streamRefused();
    this.#finishing = true;
    this.#call.emit('error', refused);
  }

  #close(): void {
    this.#over = true;
    this.#stream?.close();
  }

  #send(frame: Uint8Array): void {
    if (this.#over) return;
    // A frontend that does not read its answers sends no more commands until it does.
    if (!this.#call.write({ body: frame as Buffer })) this.#call.pause();
    if (this.#finishing) this.#endIfFinished();
  }

  #endIfFinished(): void {
    if ((this.#stream?.inFlight ?? 0) > 0) return;
    this.#over = true;
    this.#call.end();
  }
}

/** A unary handler. A refusal of the domain says why: everything it judges is public. */
function answeringWith(events: WorkerEvents) {
  return <Request, Response>(
      limit: PeerLimit,
      handle: (request: Request) => Response | Promise<Response>,
    ): handleUnaryCall<Request, Response> =>
    (call, done) => {
      if (!limit.take(call.getPeer())) return done({ code: status.RESOURCE_EXHAUSTED, details: 'too many calls' });
      void (async () => {
        try {
          done(null, await handle(call.request));
        } catch (error) {
          events.domainCallRefused(call.getPath(), error);
          done(answerTo(error));
        }
      })();
    };
}

function answerTo(error: unknown): { code: status; details: string } {
  if (!(error instanceof DomainError)) return { code: status.INTERNAL, details: 'internal error' };
  const code = error.code === 'unauthorized-call' ? status.PERMISSION_DENIED : status.FAILED_PRECONDITION;
  return { code, details: `${error.code}: ${error.message}` };
}

function descriptionOf(description: ReturnType<DomainMembership['describe']>): DescriptionMessage {
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
