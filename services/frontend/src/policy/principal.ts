/**
 * Who signed a request, with everything attached to that identity that decides what it may do. This is data only:
 * nothing has been decided.
 */
export interface Principal {
  /** `arn:aws:iam::<account>:user/<path><name>`, or `arn:aws:sts::<account>:assumed-role/<role>/<session>`. */
  readonly arn: string;
  readonly accountId: string;
  /** IAM's unique id (`aws:userid`): `AIDA...`, or `AROA...:<session>`. */
  readonly userId: string;
  /** `aws:username`; only users have it. */
  readonly userName?: string | undefined;
  /** Identity policy documents: the principal's own, its groups', and managed ones attached to either. */
  readonly policies: readonly string[];
  /** The permissions boundary's document: identity policies allow only what it also allows. */
  readonly boundary?: string | undefined;
  /** `aws:PrincipalTag/...`: the user's tags, or the role's, overridden by the session's. */
  readonly tags?: ReadonlyMap<string, string> | undefined;
  readonly session?: PrincipalSession | undefined;
}

/** Temporary credentials, of an assumed role or of a user that requested them. */
export interface PrincipalSession {
  /**
   * `arn:aws:iam::<account>:role/<path><name>`, as in key policies and `aws:PrincipalArn`; undefined for a user's
   * session.
   */
  readonly roleArn?: string | undefined;
  /**
   * Documents passed when the session was made: what identity policies allow, one of these must allow too. None: no
   * limit.
   */
  readonly policies: readonly string[];
  /** Milliseconds since the epoch (`aws:TokenIssueTime`). */
  readonly issuedAt: number;
  readonly sourceIdentity?: string | undefined;
  /** Tags of this session that are passed on to the sessions it creates for further roles. */
  readonly transitiveTagKeys?: readonly string[] | undefined;
  /** ARN of a web identity's OIDC provider (`aws:FederatedProvider`). */
  readonly federatedProvider?: string | undefined;
}
