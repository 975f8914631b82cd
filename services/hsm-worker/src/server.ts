import {
  type handleUnaryCall,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import { Hsm } from '@keyfleet/proto';
import type { Frame, Frame__Output } from '@keyfleet/proto/gen/keyfleet/hsm/v1/Frame';
import type { HsmHandlers } from '@keyfleet/proto/gen/keyfleet/hsm/v1/Hsm';
import type { HsmDescription as DescriptionMessage } from '@keyfleet/proto/gen/keyfleet/hsm/v1/HsmDescription';
import { systemClock } from '@keyfleet/shared/clock';
import { DomainError } from '@keyfleet/shared/domain/domain-error';
import type { OpenStream, SessionService } from './boundary/session-service.ts';
import type { WorkerEvents } from './events.ts';
import type { DomainMembership } from './membership.ts';

/** A chain of domain tokens in one message; frames are smaller. */
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

export interface WorkerServerOptions {
  readonly address: string;
  readonly sessions: SessionService;
  readonly membership: DomainMembership;
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
    const closed = new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve()));
    for (const stream of this.#streams) stream.finish();
    const timer = setTimeout(() => this.#server.forceShutdown(), SHUTDOWN_MS);
    await closed;
    clearTimeout(timer);
  }

  #handlers(): HsmHandlers {
    const { membership, sessions, events } = this.#options;
    const answering = answeringWith(events);
    return {
      Describe: answering(() => descriptionOf(membership.describe())),
      NegotiateSession: (call, done) => this.#negotiate(sessions, call.request.hello ?? empty, done),
      Execute: (call) => this.#execute(call),
      PrepareDomainToken: answering(async ({ proposal, current }) => {
        const token = await membership.prepare(proposal ?? empty, current);
        return { token: Buffer.from(token) };
      }),
      InstallDomainTokens: answering(async ({ tokens }) => descriptionOf(await membership.install(tokens ?? []))),
      LeaveDomain: answering(async ({ proposal }) => descriptionOf(await membership.leave(proposal ?? empty))),
      ActivateDomainKey: answering(({ generation }) => descriptionOf(membership.activate(generation ?? 0))),
    };
  }

  #negotiate(sessions: SessionService, hello: Uint8Array, done: sendUnaryData<{ answer: Buffer }>): void {
    const { events } = this.#options;
    try {
      done(null, { answer: Buffer.from(sessions.negotiate(hello)) });
      events.sessionNegotiated();
    } catch {
      events.sessionRefused();
      done({ code: status.UNAUTHENTICATED, details: 'refused' });
    }
  }

  #execute(call: ExecuteCall): void {
    const { sessions, events } = this.#options;
    const stream = new ServerStream(call, sessions, events);
    this.#streams.add(stream);
    call.on('close', () => this.#streams.delete(stream));
  }
}

const SHUTDOWN_MS = 3000;
const empty = Buffer.alloc(0);

type ExecuteCall = ServerDuplexStream<Frame__Output, Frame>;

/** One Execute call: the first message opens the stream in the boundary, the others are its frames. */
class ServerStream {
  readonly #call: ExecuteCall;
  readonly #sessions: SessionService;
  readonly #events: WorkerEvents;
  #stream: OpenStream | undefined;
  #finishing = false;

  constructor(call: ExecuteCall, sessions: SessionService, events: WorkerEvents) {
    this.#call = call;
    this.#sessions = sessions;
    this.#events = events;
    call.on('data', ({ body }: Frame__Output) => this.#receive(body ?? empty));
    call.on('drain', () => call.resume());
    call.on('end', () => this.finish());
    for (const over of ['error', 'cancelled', 'close']) call.on(over, () => this.#stream?.close());
  }

  /** Takes no more frames; ends when everything taken is answered. */
  finish(): void {
    this.#finishing = true;
    this.#endIfFinished();
  }

  #receive(body: Buffer): void {
    if (this.#finishing) return;
    try {
      if (this.#stream !== undefined) return this.#stream.receive(body);
      this.#stream = this.#sessions.openStream(body, (frame) => this.#send(frame));
      this.#events.streamOpened();
    } catch {
      // One answer whatever it was: a frame that does not open, a token that does not, a session that is over.
      this.#events.streamRefused();
      this.#finishing = true;
      this.#call.emit('error', { code: status.UNAUTHENTICATED, details: 'refused' });
    }
  }

  #send(frame: Uint8Array): void {
    // A frontend that does not read its answers sends no more commands until it does.
    if (!this.#call.write({ body: frame as Buffer })) this.#call.pause();
    if (this.#finishing) this.#endIfFinished();
  }

  #endIfFinished(): void {
    if ((this.#stream?.inFlight ?? 0) === 0) this.#call.end();
  }
}

/** A unary handler. A refusal of the domain says why: everything it judges is public. */
function answeringWith(events: WorkerEvents) {
  return <Request, Response>(
      handle: (request: Request) => Response | Promise<Response>,
    ): handleUnaryCall<Request, Response> =>
    (call, done) => {
      void (async () => {
        try {
          done(null, await handle(call.request));
        } catch (error) {
          events.domainCallRefused(call.getPath(), error);
          done(
            error instanceof DomainError
              ? { code: status.FAILED_PRECONDITION, details: `${error.code}: ${error.message}` }
              : { code: status.INTERNAL, details: 'internal error' },
          );
        }
      })();
    };
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
