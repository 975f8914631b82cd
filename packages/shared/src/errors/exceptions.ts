/** An exception's form on the wire. AWS answers 400 for every client error, whatever its model says. */
interface ExceptionRow {
  readonly http: 400 | 500 | 503;
  /** gRPC status code. */
  readonly grpc: number;
  /** The member that carries the text: AWS capitalizes it for some, and some have no text. */
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
const ABORTED = 10;
const UNIMPLEMENTED = 12;
const INTERNAL = 13;
const UNAVAILABLE = 14;
const UNAUTHENTICATED = 16;

/** Every exception a caller can see. */
export const exceptions = {
  AccessDeniedException: client(PERMISSION_DENIED, 'Message'),
  AlreadyExistsException: client(ALREADY_EXISTS),
  CloudHsmClusterInUseException: client(ALREADY_EXISTS),
  CloudHsmClusterInvalidConfigurationException: client(FAILED_PRECONDITION),
  CloudHsmClusterNotActiveException: client(FAILED_PRECONDITION),
  CloudHsmClusterNotFoundException: client(NOT_FOUND),
  CloudHsmClusterNotRelatedException: client(FAILED_PRECONDITION),
  ConflictException: client(ABORTED),
  CustomKeyStoreHasCMKsException: client(FAILED_PRECONDITION),
  CustomKeyStoreInvalidStateException: client(FAILED_PRECONDITION),
  CustomKeyStoreNameInUseException: client(ALREADY_EXISTS),
  CustomKeyStoreNotFoundException: client(NOT_FOUND),
  DependencyTimeoutException: { http: 503, grpc: UNAVAILABLE, text: 'message' },
  DisabledException: client(FAILED_PRECONDITION),
  DryRunOperationException: client(FAILED_PRECONDITION),
  ExpiredImportTokenException: client(FAILED_PRECONDITION),
  ExpiredTokenException: client(UNAUTHENTICATED),
  IncompleteSignatureException: client(UNAUTHENTICATED),
  IncorrectKeyException: client(INVALID_ARGUMENT),
  IncorrectKeyMaterialException: client(INVALID_ARGUMENT),
  IncorrectTrustAnchorException: client(INVALID_ARGUMENT),
  InvalidAliasNameException: client(INVALID_ARGUMENT),
  InvalidArnException: client(INVALID_ARGUMENT),
  InvalidCiphertextException: client(INVALID_ARGUMENT, 'none'),
  InvalidGrantIdException: client(INVALID_ARGUMENT),
  InvalidGrantTokenException: client(INVALID_ARGUMENT),
  InvalidImportTokenException: client(INVALID_ARGUMENT),
  InvalidKeyUsageException: client(INVALID_ARGUMENT),
  InvalidMarkerException: client(INVALID_ARGUMENT),
  InvalidSignatureException: client(UNAUTHENTICATED),
  KMSInternalException: { http: 500, grpc: INTERNAL, text: 'message' },
  KMSInvalidMacException: client(INVALID_ARGUMENT, 'none'),
  KMSInvalidSignatureException: client(INVALID_ARGUMENT, 'none'),
  KMSInvalidStateException: client(FAILED_PRECONDITION),
  KeyUnavailableException: { http: 500, grpc: UNAVAILABLE, text: 'message' },
  LimitExceededException: client(RESOURCE_EXHAUSTED),
  MalformedPolicyDocumentException: client(INVALID_ARGUMENT),
  MissingAuthenticationTokenException: client(UNAUTHENTICATED),
  NotAuthorizedException: client(PERMISSION_DENIED),
  NotFoundException: client(NOT_FOUND),
  SerializationException: client(INVALID_ARGUMENT, 'Message'),
  TagException: client(INVALID_ARGUMENT),
  ThrottlingException: client(RESOURCE_EXHAUSTED),
  UnknownOperationException: client(UNIMPLEMENTED),
  UnrecognizedClientException: client(UNAUTHENTICATED),
  UnsupportedOperationException: client(UNIMPLEMENTED),
  ValidationException: client(INVALID_ARGUMENT),
  XksKeyAlreadyInUseException: client(ALREADY_EXISTS),
  XksKeyInvalidConfigurationException: client(FAILED_PRECONDITION),
  XksKeyNotFoundException: client(NOT_FOUND),
  XksProxyIncorrectAuthenticationCredentialException: client(FAILED_PRECONDITION),
  XksProxyInvalidConfigurationException: client(FAILED_PRECONDITION),
  XksProxyInvalidResponseException: client(FAILED_PRECONDITION),
  XksProxyUriEndpointInUseException: client(ALREADY_EXISTS),
  XksProxyUriInUseException: client(ALREADY_EXISTS),
  XksProxyUriUnreachableException: client(FAILED_PRECONDITION),
  XksProxyVpcEndpointServiceInUseException: client(ALREADY_EXISTS),
  XksProxyVpcEndpointServiceInvalidConfigurationException: client(FAILED_PRECONDITION),
  XksProxyVpcEndpointServiceNotFoundException: client(NOT_FOUND),
} as const satisfies Record<string, ExceptionRow>;

export type ExceptionCode = keyof typeof exceptions;

/** What any operation may return besides the errors it declares. */
export const commonErrors: ReadonlySet<ExceptionCode> = new Set([
  'AccessDeniedException',
  'DependencyTimeoutException',
  'ExpiredTokenException',
  'IncompleteSignatureException',
  // For every operation that takes grant tokens, since DescribeKey does not declare it.
  'InvalidGrantTokenException',
  'InvalidSignatureException',
  'KMSInternalException',
  'MissingAuthenticationTokenException',
  'NotAuthorizedException',
  'SerializationException',
  'ThrottlingException',
  'UnknownOperationException',
  'UnrecognizedClientException',
  'ValidationException',
]);

/**
 * The only error a caller can see. Anything else that is thrown is a fault: logged, and answered as
 * KMSInternalException.
 */
export class KmsException extends Error {
  readonly code: ExceptionCode;
  /** The message for the audit record, without the secrets that AWS prints back to their sender. */
  readonly recorded: string;

  /**
   * Half a surrogate pair, where a text was cut or in a policy's JSON, becomes U+FFFD: it has no UTF-8 form, and
   * grpc-js throws at it when the answer is sent.
   */
  constructor(code: ExceptionCode, message = '', options: ErrorOptions & { readonly recorded?: string } = {}) {
    super(message.toWellFormed(), options);
    this.name = code;
    this.code = code;
    this.recorded = options.recorded ?? message;
  }
}
