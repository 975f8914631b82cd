import { KmsException } from '@keyfleet/shared/errors/exceptions';

/** An IAM or STS error, with AWS's code and status there. */
export class QueryException extends KmsException {
  readonly queryCode: string;
  readonly status: number;

  constructor(queryCode: keyof typeof statuses, message: string) {
    // The code common to all APIs; gRPC and metrics only ever see this one.
    super('ValidationException', message);
    this.name = queryCode;
    this.queryCode = queryCode;
    this.status = statuses[queryCode];
  }
}

/** IAM and STS API Reference, "Errors" of the operations. */
const statuses = {
  AccessDenied: 403,
  DeleteConflict: 409,
  EntityAlreadyExists: 409,
  ExpiredTokenException: 400,
  IDPCommunicationError: 400,
  IDPRejectedClaim: 403,
  InvalidAuthorizationMessageException: 400,
  InvalidClientTokenId: 403,
  InvalidIdentityToken: 400,
  InvalidInput: 400,
  InvalidParameterValue: 400,
  LimitExceeded: 409,
  MalformedPolicyDocument: 400,
  NoSuchEntity: 404,
  PackedPolicyTooLarge: 400,
  PolicyNotAttachable: 400,
  UnmodifiableEntity: 400,
  ValidationError: 400,
} as const;
