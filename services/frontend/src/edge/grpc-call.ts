import { randomUUID } from 'node:crypto';
import type { OutgoingHttpHeaders } from 'node:http2';
import { Metadata, type ServerInterceptingCallInterface, ServerInterceptingCall, status } from '@grpc/grpc-js';
import { exceptions, KmsException } from '@keyfleet/shared/errors/exceptions';
import { ERROR_TRAILER, grpcErrorOf } from '@keyfleet/shared/errors/grpc-errors';
import { streamOf } from '@keyfleet/shared/grpc/streams';
import { canonicalPath } from '@keyfleet/shared/sigv4';
import type { Connection, Sender } from './sender.ts';
import { httpLimits } from './http.ts';
import { CallStream } from './grpc-stream.ts';
import type { EdgeRequest } from '../request/attempt.ts';
import { bytesOf, type StrangersCalls } from './strangers-calls.ts';
import { saysTls } from './trusted-proxies.ts';

/** A call whose headers have arrived, and nothing else. */
export interface OpenCall {
  readonly request: EdgeRequest;
  /** Reads the message, none of which is read before. Rejects with KmsException if none arrives. Call it once. */
  readonly readMessage: () => Promise<Buffer>;
}

type Status = Parameters<ServerInterceptingCallInterface['sendStatus']>[0];

export interface ConnectedCall {
  readonly call: ServerInterceptingCallInterface;
  readonly connection: Connection;
  /** Whether its connection is TLS to this port. */
  readonly isTls: boolean;
  readonly strangersCalls: StrangersCalls;
}

interface Answering extends Pick<ConnectedCall, 'call'> {
  readonly sender: Sender;
  readonly stream: CallStream;
}

interface SentCall extends Pick<ConnectedCall, 'call' | 'isTls'> {
  readonly sender: Sender;
  readonly onGenuine: () => void;
}

/** Returns the answer's bytes, which are overwritten once sent. */
export type ServeCall = (call: OpenCall) => Promise<Buffer>;

/**
 * A unary call whose server decides from the headers whether to read the message. grpc-js calls its handlers only after
 * the message has arrived, so we serve the call here and its handlers are never called. Messages stay bytes in both
 * directions.
 */
export function serveUnary(
  path: string,
  { call, connection, isTls, strangersCalls }: ConnectedCall,
  serve: ServeCall,
): ServerInterceptingCall {
  let isCancelled = false;
  let waiting: WaitingCall | undefined;
  let due: NodeJS.Timeout | undefined;
  const refuse = (refusal: Status, delay: number, answered = (): void => {}): void => {
    const send = (): void => {
      if (!isCancelled) call.sendStatus(refusal);
      answered();
    };
    if (delay === 0) send();
    else due = setTimeout(send, delay);
  };
  const stream = new CallStream(call);
  const message = Promise.withResolvers<Buffer>();
  message.promise.catch(() => undefined);
  return new ServerInterceptingCall(call, {
    start: (next) =>
      next({
        onReceiveMetadata: (metadata) => {
          const forwardedFor = metadata.get('x-forwarded-for').join(',');
          const sender = connection.senderOf(forwardedFor);
          const headers = metadata.toHttp2Headers();
          if (bytesOf(headers) > httpLimits.headerBytes) {
            if (sender === connection && sender.isStrange) connection.cut();
            else
              refuse(
                { code: status.RESOURCE_EXHAUSTED, details: 'The request headers are too large.' },
                delayOf(sender),
              );
            return sender.leave();
          }
          const readMessage = () => {
            call.startRead();
            return message.promise;
          };
          const connected = { call, connection, isTls, strangersCalls };
          waiting = { received: { ...connected, path, headers, sender, stream, readMessage, refuse } };
          serveReceived(waiting, { connection, sender }, serve);
        },
        onReceiveMessage: (bytes: Buffer) => {
          stream.wipeReceived();
          message.resolve(bytes);
        },
        onReceiveHalfClose: () => message.reject(new KmsException('SerializationException')),
        onCancel: () => {
          isCancelled = true;
          if (waiting !== undefined) waiting.received = undefined;
          // A stranger's turn lasts as long as if it had awaited its answer.
          if (!connection.isStrange || connection.socket.destroyed) clearTimeout(due);
          message.reject(new KmsException('SerializationException'));
        },
      }),
  });
}

interface ReceivedCall extends ConnectedCall, Answering, Pick<OpenCall, 'readMessage'> {
  readonly path: string;
  readonly headers: OutgoingHttpHeaders;
  /** After some milliseconds. */
  readonly refuse: (refusal: Status, delay: number, answered: () => void) => void;
}

/** A call's place among those that wait. */
interface WaitingCall {
  /** Undefined: it was cancelled, and nothing of it is kept. */
  received: ReceivedCall | undefined;
}

function serveReceived(
  waiting: WaitingCall,
  { connection, sender }: Pick<ReceivedCall, 'connection' | 'sender'>,
  serve: ServeCall,
): void {
  const { turns } = sender.peer;
  inStrangersTurn(connection, sender, (leaveTurn) => {
    const { received } = waiting;
    if (received === undefined || connection.socket.destroyed) {
      sender.leave();
      return leaveTurn();
    }
    const { call, path, headers, readMessage, refuse, strangersCalls } = received;
    let isGenuine = false;
    const onGenuine = (): void => {
      isGenuine = true;
      strangersCalls.remove(streamOf(call));
      leaveTurn();
    };
    const request = requestOf(path, headers, { ...received, onGenuine });
    turns.enter(() => {
      const served = serve({ request, readMessage });
      const leave = (): void => {
        turns.leave();
        sender.leave();
      };
      served.finally(leave).catch(() => undefined);
      served.then(
        (answer) => succeed(received, answer, request),
        (error: unknown) => {
          const exception = error instanceof KmsException ? error : new KmsException('KMSInternalException');
          refuse(refusalOf(exception, request), isGenuine ? 0 : delayOf(sender, exception), leaveTurn);
        },
      );
    });
  });
}

/** Calls of a stranger that may wait, the cancelled ones among them: more than it can have open at once. */
const MAX_WAITING = 256;

/**
 * Until a connection has brought a genuine signature, its calls are worked on one after the other, each until its
 * answer is due. Otherwise whoever cancels calls would have every one of them worked on. A trusted proxy's connection
 * carries others' calls, and is no stranger's.
 */
function inStrangersTurn(connection: Connection, sender: Sender, work: (leave: () => void) => void): void {
  if (!mustWait(connection, sender)) return work(() => {});
  const { socket, turns } = connection;
  turns.enter(() => {
    let hasLeft = false;
    const leave = (): void => {
      if (hasLeft) return;
      hasLeft = true;
      socket.off('close', leave);
      turns.leave();
    };
    socket.once('close', leave);
    work(leave);
  });
  if (turns.waiting > MAX_WAITING) connection.cut();
}

/** A trusted proxy's connection carries others' calls. */
function mustWait(connection: Connection, sender: Sender): boolean {
  return sender === connection && connection.isStrange;
}

/**
 * The call in the form that is signed: POST to the method's path, the authority that the client called, and the stated
 * payload hash.
 */
function requestOf(path: string, sent: OutgoingHttpHeaders, { call, isTls, sender, onGenuine }: SentCall): EdgeRequest {
  const headers = new Map<string, string>();
  for (const [name, values] of Object.entries(sent)) {
    headers.set(name, Array.isArray(values) ? values.join(',') : String(values));
  }
  headers.set('host', call.getHost());
  return {
    method: 'POST',
    path: canonicalPath(path),
    query: '',
    headers,
    payloadHash: headers.get('x-amz-content-sha256') ?? '',
    requestId: randomUUID(),
    sourceIpAddress: sender.address,
    isSecure: sender.isProxied ? saysTls(headers.get('x-forwarded-proto')) : isTls,
    onGenuine() {
      sender.prove();
      onGenuine();
    },
  };
}

function succeed({ call, stream, sender }: Answering, answer: Buffer, request: EdgeRequest): void {
  call.sendMetadata(new Metadata());
  stream.send(answer, sender, () => call.sendStatus({ code: status.OK, details: 'OK', metadata: trailerOf(request) }));
}

/**
 * Of the answer to a call that brought no genuine signature. What fails for a reason of ours says nothing of who
 * called.
 */
function delayOf(sender: Sender, exception?: KmsException): number {
  if (exception === undefined || exceptions[exception.code].http < 500) sender.doubt();
  return sender.delay();
}

function refusalOf(exception: KmsException, request: EdgeRequest): Status {
  const { code, details, trailer } = grpcErrorOf(exception);
  const metadata = trailerOf(request);
  metadata.set(ERROR_TRAILER, trailer);
  return { code, details, metadata };
}

function trailerOf({ requestId }: EdgeRequest): Metadata {
  const trailer = new Metadata();
  trailer.set('x-amzn-requestid', requestId);
  return trailer;
}
