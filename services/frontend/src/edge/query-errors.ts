import type { ExceptionCode, KmsException } from '@keyfleet/shared/errors/exceptions';

import { QueryException } from '../identities/query-exception.ts';

/** An error of the Query protocol, where the same conditions have other names and statuses. */
export interface QueryError {
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

/** Source: AWS STS API Reference, "Common Error Types". An exception without a row loses its reason. */
const rows: Partial<Record<ExceptionCode, { readonly status: number; readonly code: string }>> = {
  AccessDeniedException: { status: 403, code: 'AccessDenied' },
  ExpiredTokenException: { status: 403, code: 'ExpiredToken' },
  MalformedPolicyDocumentException: { status: 400, code: 'MalformedPolicyDocument' },
  InvalidMarkerException: { status: 400, code: 'ValidationError' },
  DependencyTimeoutException: { status: 503, code: 'ServiceUnavailable' },
  IncompleteSignatureException: { status: 400, code: 'IncompleteSignature' },
  InvalidSignatureException: { status: 403, code: 'SignatureDoesNotMatch' },
  MissingAuthenticationTokenException: { status: 403, code: 'MissingAuthenticationToken' },
  ThrottlingException: { status: 400, code: 'Throttling' },
  UnrecognizedClientException: { status: 403, code: 'InvalidClientTokenId' },
  ValidationException: { status: 400, code: 'ValidationError' },
};

export function queryErrorOf(exception: KmsException): QueryError {
  const { code, message } = exception;
  if (exception instanceof QueryException) return { status: exception.status, code: exception.queryCode, message };
  if (code === 'MissingAuthenticationTokenException') {
    return { status: 403, code: 'MissingAuthenticationToken', message: 'Request is missing Authentication Token' };
  }
  const row = rows[code];
  return row === undefined ? { status: 500, code: 'InternalFailure', message: '' } : { ...row, message };
}

/** AWS's answer to an action that this version of the API does not have. */
export function invalidAction(action: string, version: string): QueryError {
  const message = `Could not find operation ${action} for version ${version}`;
  return { status: 400, code: 'InvalidAction', message };
}
