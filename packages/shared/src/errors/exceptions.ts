/** How an exception looks on the wire. AWS answers 400 for every client error, whatever its model says. */
interface ExceptionRow {
  readonly http: 400 | 500 | 503;
  /** gRPC status code. */
  readonly grpc: number;
  /** The member that carries the text: AWS capitalizes it in a few, and some never say anything. */
  readonly text: 'message' | 'Message' | 'none';
}

function client(grpc: number, text: ExceptionRow['text'] = 'message'): ExceptionRow {
  return { http: 400, grpc, text };
}

const INVALID_ARGUMENT = 3;
const NOT_FOUND = 5;
const ALREADY_EXISTS = 6;
const PERMISSION_DENIED = 7;
const RESOURCE_EXHAUSTED = 8;
const FAILED_PRECONDITION = 9;
const UNIMPLEMENTED = 12;
const INTERNAL = 13;
const UNAVAILABLE = 14;
const UNAUTHENTICATED = 16;

/** Every exception a caller can see. */
export const exceptions = {
  AccessDeniedException: client(PERMISSION_DENIED, 'Message'),
  AlreadyExistsException: client(ALREADY_EXISTS),
  DependencyTimeoutException: { http: 503, grpc: UNAVAILABLE, text: 'message' },
  DisabledException: client(FAILED_PRECONDITION),
  IncompleteSignatureException: client(UNAUTHENTICATED),
  InvalidAliasNameException: client(INVALID_ARGUMENT),
  InvalidArnException: client(INVALID_ARGUMENT),
  InvalidCiphertextException: client(INVALID_ARGUMENT, 'none'),
  InvalidSignatureException: client(UNAUTHENTICATED),
  KMSInternalException: { http: 500, grpc: INTERNAL, text: 'message' },
  KMSInvalidStateException: client(FAILED_PRECONDITION),
  KeyUnavailableException: { http: 500, grpc: UNAVAILABLE, text: 'message' },
  LimitExceededException: client(RESOURCE_EXHAUSTED),
  MissingAuthenticationTokenException: client(UNAUTHENTICATED),
  NotFoundException: client(NOT_FOUND),
  SerializationException: client(INVALID_ARGUMENT),
  ThrottlingException: client(RESOURCE_EXHAUSTED),
  UnknownOperationException: client(UNIMPLEMENTED),
  UnrecognizedClientException: client(UNAUTHENTICATED),
  UnsupportedOperationException: client(UNIMPLEMENTED, 'Message'),
  ValidationException: client(INVALID_ARGUMENT),
} as const satisfies Record<string, ExceptionRow>;

export type ExceptionCode = keyof typeof exceptions;

/** The only error a caller can see. Anything else that is thrown is a fault: logged, and answered as KMSInternalException. */
export class KmsException extends Error {
  readonly code: ExceptionCode;

  constructor(code: ExceptionCode, message = '', options?: ErrorOptions) {
    super(message, options);
    this.name = code;
    this.code = code;
  }
}
