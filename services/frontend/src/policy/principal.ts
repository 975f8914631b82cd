/**
 * Who signed a request, and everything attached to that identity which decides what it may do. All of it is data:
 * nothing here was decided.
 */
export interface Principal {
  /** `arn:aws:iam::<account>:user/<path><name>`, or `arn:aws:sts::<account>:assumed-role/<role>/<session>`. */
  readonly arn: string;
  readonly accountId: string;
  /** IAM's unique id (`aws:userid`): `AIDA...`, or `AROA...:<session>`. */
  readonly userId: string;
  /** `aws:username`: of users only. */
  readonly userName?: string | undefined;
  /** Identity policy documents: its own, those of its groups, and managed ones attached to either. */
  readonly policies: readonly string[];
  /** The permissions boundary's document: nothing is allowed by identity policies that it does not allow as well. */
  readonly boundary?: string | undefined;
  /** `aws:PrincipalTag/...`: of the user, or of the role and over them those of the session. */
  readonly tags?: ReadonlyMap<string, string> | undefined;
  readonly session?: PrincipalSession | undefined;
}

/** Temporary credentials: of an assumed role, or of a user that asked for some. */
export interface PrincipalSession {
  /**
   * `arn:aws:iam::<account>:role/<path><name>`, which is what key policies and `aws:PrincipalArn` say; undefined for a
   * user's.
   */
  readonly roleArn?: string | undefined;
  /**
   * Documents that were passed when the session was made: one of them must allow what is allowed by identity policies.
   * None: no limit.
   */
  readonly policies: readonly string[];
  /** Milliseconds since the epoch (`aws:TokenIssueTime`). */
  readonly issuedAt: number;
  readonly sourceIdentity?: string | undefined;
  /** Of its tags, those that the sessions have too which it makes of further roles. */
  readonly transitiveTagKeys?: readonly string[] | undefined;
  /** The OIDC issuer of a web identity (`aws:FederatedProvider`), without its scheme. */
  readonly federatedProvider?: string | undefined;
}
