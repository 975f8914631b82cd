/** The users and roles that exist. */
export interface Users {
  /**
   * `arn` names a user, a role or a role's session. Returns its `aws:userid` (`AIDA...`, `AROA...`,
   * `AROA...:<session>`), or undefined if there is no such user or role. `askedBy`: the account that is charged what is
   * read.
   */
  idOf(arn: string, askedBy: string): Promise<string | undefined>;
}

/** Unique ids by the ARNs of users, roles and sessions. */
export type PrincipalIds = ReadonlyMap<string, string>;

/**
 * The unique ids of the principals that a request names. For other accounts it is not ours to say who exists: one that
 * does not simply has no id. For one in the caller's own account that does not exist, throws the error that `missing`
 * makes.
 */
export async function principalIdsOf(
  arns: Iterable<string>,
  { caller, users }: { readonly caller: Known; readonly users: Users },
  missing: (arn: string) => Error,
): Promise<PrincipalIds> {
  const found = await Promise.all(
    [...new Set(arns)].map(async (arn) => {
      const id = arn === caller.arn ? caller.userId : await users.idOf(arn, caller.accountId);
      if (id === undefined && arn.split(':')[4] === caller.accountId) throw missing(arn);
      return [arn, id] as const;
    }),
  );
  return new Map(found.filter((entry): entry is [string, string] => entry[1] !== undefined));
}

interface Known {
  readonly accountId: string;
  readonly arn: string;
  readonly userId: string;
}
