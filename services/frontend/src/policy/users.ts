/** Which users and roles there are. */
export interface Users {
  /**
   * `arn`: of a user, a role or a session of one. Answers what `aws:userid` is for it (`AIDA...`, `AROA...`,
   * `AROA...:<session>`); undefined when there is no such user or role.
   */
  idOf(arn: string): Promise<string | undefined>;
}

/** Unique ids by the ARNs of users, roles and sessions. */
export type PrincipalIds = ReadonlyMap<string, string>;

/**
 * The unique ids of those that a request names. Of other accounts it is not ours to tell who is there: one that is not
 * has no id. Throws what `missing` makes for one of the caller's account that is not there.
 */
export async function principalIdsOf(
  arns: Iterable<string>,
  { caller, users }: { readonly caller: Known; readonly users: Users },
  missing: (arn: string) => Error,
): Promise<PrincipalIds> {
  const found = await Promise.all(
    [...new Set(arns)].map(async (arn) => {
      const id = arn === caller.arn ? caller.userId : await users.idOf(arn);
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
