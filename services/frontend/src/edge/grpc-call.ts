import { randomUUID } from 'node:crypto';
import type { OutgoingHttpHeaders } from 'node:http2';
import { Metadata, type ServerInterceptingCallInterface, ServerInterceptingCall, status } from '@grpc/grpc-js';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { ERROR_TRAILER, grpcErrorOf } from '@keyfleet/shared/errors/grpc-errors';
import { canonicalPath } from '@keyfleet/shared/sigv4';
import type { Connection, Sender } from './connections.ts';
import { httpLimits } from './http.ts';
import { CallStream } from './grpc-stream.ts';
import type { EdgeRequest } from '../request/attempt.ts';
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
}

interface Answering extends Pick<ConnectedCall, 'call'> {
  readonly stream: CallStream;
}

type SentCall = Pick<ConnectedCall, 'call' | 'isTls'> & { readonly sender: Sender };

/** Returns the answer's bytes, which are overwritten once sent. */
export type ServeCall = (call: OpenCall) => Promise<Buffer>;

/**
 * A unary call whose server decides from the headers whether to read the message. grpc-js calls its handlers only after
 * the message has arrived, so we serve the call here and its handlers are never called. Messages stay bytes in both
 * directions.
 */
export function serveUnary(
  path: string,
  { call, connection, isTls }: ConnectedCall,
  serve: ServeCall,
): ServerInterceptingCall {
  let due: NodeJS.Timeout | undefined;
  // A stranger waits until its peer is due an answer.
  const refuse = (refusal: Status, sender: Sender): void => {
    const delay = sender.delay();
    if (delay === 0) call.sendStatus(refusal);
    else due = setTimeout(() => call.sendStatus(refusal), delay);
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
            else refuse({ code: status.RESOURCE_EXHAUSTED, details: 'The request headers are too large.' }, sender);
            return sender.leave();
          }
          const request = requestOf(path, headers, { call, isTls, sender });
          const { turns } = sender.peer;
          const readMessage = () => {
            call.startRead();
            return message.promise;
          };
          turns.enter(() => {
            const served = serve({ request, readMessage });
            const leave = (): void => {
              turns.leave();
              sender.leave();
            };
            served.finally(leave).catch(() => undefined);
            served.then(
              (answer) => succeed({ call, stream }, answer, request),
              (error: unknown) => refuse(refusalOf(error, request), sender),
            );
          });
        },
        onReceiveMessage: (bytes: Buffer) => {
          stream.wipeReceived();
          message.resolve(bytes);
        },
        onReceiveHalfClose: () => message.reject(new KmsException('SerializationException')),
        onCancel: () => {
          clearTimeout(due);
          message.reject(new KmsException('SerializationException'));
        },
      }),
  });
}

/** Node takes 64 KiB of headers for each call, and has no setting for less that grpc-js passes on. */
function bytesOf(headers: OutgoingHttpHeaders): number {
  let bytes = 0;
  for (const [name, values] of Object.entries(headers)) {
    for (const value of [values].flat()) bytes += name.length + String(value).length;
  }
  return bytes;
}

/**
 * The call in the form that is signed: POST to the method's path, the authority that the client called, and the stated
 * payload hash.
 */
function requestOf(path: string, sent: OutgoingHttpHeaders, { call, isTls, sender }: SentCall): EdgeRequest {
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
    onGenuine: () => sender.prove(),
  };
}

function succeed({ call, stream }: Answering, answer: Buffer, request: EdgeRequest): void {
  call.sendMetadata(new Metadata());
  stream.send(answer, () => call.sendStatus({ code: status.OK, details: 'OK', metadata: trailerOf(request) }));
}

function refusalOf(error: unknown, request: EdgeRequest): Status {
  const exception = error instanceof KmsException ? error : new KmsException('KMSInternalException');
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
