import { randomUUID } from 'node:crypto';
import { Metadata, type ServerInterceptingCallInterface, ServerInterceptingCall, status } from '@grpc/grpc-js';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { ERROR_TRAILER, grpcErrorOf } from '@keyfleet/shared/errors/grpc-errors';
import { canonicalPath } from '@keyfleet/shared/sigv4/canonical-request';
import type { EdgeRequest } from './pipeline.ts';

/** A call of which only the headers have come. */
export interface OpenCall {
  readonly request: EdgeRequest;
  /** Reads the message: nothing of it is read before. Rejects with KmsException when none comes. To be called once. */
  readonly readMessage: () => Promise<Buffer>;
}

/** Gives the bytes of the answer. */
export type ServeCall = (call: OpenCall) => Promise<Buffer>;

/**
 * A unary call whose server decides by its headers whether to read its message: grpc-js's own handlers are only called when
 * the message has come, so the call is served here and none of them ever is. Messages stay bytes in both directions.
 */
export function serveUnary(
  path: string,
  call: ServerInterceptingCallInterface,
  serve: ServeCall,
): ServerInterceptingCall {
  const message = Promise.withResolvers<Buffer>();
  message.promise.catch(() => undefined);
  return new ServerInterceptingCall(call, {
    start: (next) =>
      next({
        onReceiveMetadata: (metadata) => {
          const request = requestOf(path, metadata, call);
          const readMessage = () => {
            call.startRead();
            return message.promise;
          };
          serve({ request, readMessage }).then(
            (answer) => succeed(call, answer, request),
            (error: unknown) => call.sendStatus(refusalOf(error, request)),
          );
        },
        onReceiveMessage: (bytes: Buffer) => message.resolve(bytes),
        onReceiveHalfClose: () => message.reject(new KmsException('SerializationException')),
        onCancel: () => message.reject(new KmsException('SerializationException')),
      }),
  });
}

/** A call as its signature sees it: POST to the method's path, at the authority that the client called, of the stated hash. */
function requestOf(path: string, metadata: Metadata, call: ServerInterceptingCallInterface): EdgeRequest {
  const headers = new Map<string, string>();
  for (const [name, values] of Object.entries(metadata.toHttp2Headers())) {
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
    sourceIpAddress: call.getConnectionInfo().remoteAddress ?? '',
  };
}

function succeed(call: ServerInterceptingCallInterface, answer: Buffer, request: EdgeRequest): void {
  call.sendMetadata(new Metadata());
  call.sendMessage(answer, () => call.sendStatus({ code: status.OK, details: 'OK', metadata: trailerOf(request) }));
}

function refusalOf(error: unknown, request: EdgeRequest): Parameters<ServerInterceptingCallInterface['sendStatus']>[0] {
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
