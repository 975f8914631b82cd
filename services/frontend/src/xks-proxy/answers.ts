import type { ExceptionCode, KmsException } from '@keyfleet/shared/errors/exceptions';

export interface ProxyAnswer {
  readonly status: number;
  /** JSON. */
  readonly body: string;
}

const statuses = {
  ValidationException: 400,
  InvalidStateException: 400,
  InvalidCiphertextException: 400,
  InvalidKeyUsageException: 400,
  AuthenticationFailedException: 401,
  AccessDeniedException: 403,
  KeyNotFoundException: 404,
  InvalidUriPathException: 404,
  ThrottlingException: 429,
  UnsupportedOperationException: 501,
  DependencyTimeoutException: 503,
  InternalException: 500,
} as const;

type ErrorName = keyof typeof statuses;

/** An error of the External Key Store Proxy API. It reveals only its name. */
export class ProxyError extends Error {
  override name = 'ProxyError';
  readonly errorName: ErrorName;

  constructor(errorName: ErrorName) {
    super(errorName);
    this.errorName = errorName;
  }
}

export function refusal(errorName: ErrorName): ProxyAnswer {
  return { status: statuses[errorName], body: JSON.stringify({ errorName }) };
}

const names: Readonly<Partial<Record<ExceptionCode, ErrorName>>> = {
  AccessDeniedException: 'AccessDeniedException',
  DependencyTimeoutException: 'DependencyTimeoutException',
  DisabledException: 'InvalidStateException',
  ExpiredTokenException: 'AuthenticationFailedException',
  IncompleteSignatureException: 'AuthenticationFailedException',
  IncorrectKeyException: 'InvalidCiphertextException',
  InvalidCiphertextException: 'InvalidCiphertextException',
  InvalidKeyUsageException: 'InvalidKeyUsageException',
  InvalidSignatureException: 'AuthenticationFailedException',
  KMSInvalidStateException: 'InvalidStateException',
  MissingAuthenticationTokenException: 'AuthenticationFailedException',
  NotFoundException: 'KeyNotFoundException',
  ThrottlingException: 'ThrottlingException',
  UnrecognizedClientException: 'AuthenticationFailedException',
  UnsupportedOperationException: 'UnsupportedOperationException',
  ValidationException: 'ValidationException',
};

/** A KMS refusal as the proxy's error. */
export function refusalOf({ code, cause }: KmsException): ProxyAnswer {
  if (cause instanceof ProxyError) return refusal(cause.errorName);
  return refusal(names[code] ?? 'InternalException');
}
