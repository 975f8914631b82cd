import { exceptions, type ExceptionCode, KmsException } from './exceptions.ts';

/** The trailer that names the exception; its text is the status message. */
export const ERROR_TRAILER = 'kms-error';

/** The part of a gRPC error that identifies the exception; the same shape on both sides. */
export interface GrpcError {
  readonly code: number;
  readonly details: string;
  readonly trailer: ExceptionCode;
}

/**
 * Characters of a status message. On the wire one takes nine bytes at most, and Node ends a connection rather than send
 * more than 64 KiB of trailers.
 */
const MAX_DETAILS = 4_096;

/** The server's answer to an exception: status code, status message, and the value of the `kms-error` trailer. */
export function grpcErrorOf(exception: KmsException): GrpcError {
  const { grpc, text } = exceptions[exception.code];
  const details = text === 'none' ? '' : exception.message.slice(0, MAX_DETAILS).toWellFormed();
  return { code: grpc, details, trailer: exception.code };
}

/**
 * The exception that a call failed with; undefined if the failure is not one (no connection, deadline, another server).
 */
export function exceptionOf(details: string, trailer: string | undefined, cause?: unknown): KmsException | undefined {
  if (trailer === undefined || !Object.hasOwn(exceptions, trailer)) return undefined;
  return new KmsException(trailer as ExceptionCode, details, { cause });
}
