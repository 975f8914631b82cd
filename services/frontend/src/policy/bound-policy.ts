import type { Policy } from './document.ts';
import { principalIdForm } from './principals.ts';
import type { PrincipalIds, Users } from './users.ts';

/**
 * A policy as it is stored: users, roles and sessions that it names stand in it by their unique ids, as AWS does it, so
 * that it does not let in who is made later under the same name (IAM User Guide, "AWS JSON policy elements:
 * Principal").
 */
export interface BoundPolicy {
  readonly document: string;
  /** Their ARNs when the policy was put, by unique id; undefined for a policy that names nobody. */
  readonly principals: Readonly<Record<string, string>> | undefined;
}

/** ARNs that the policy names as principals. */
export function principalArnsOf({ statements }: Policy): readonly string[] {
  return statements.flatMap(({ principals, notPrincipals }) => [...((principals ?? notPrincipals)?.named ?? [])]);
}

/** `document`: a policy that was given. Who has no id in `ids` stays named by ARN. */
export function bindPolicy(document: string, ids: PrincipalIds): BoundPolicy {
  const principals: Record<string, string> = {};
  const bound = withPrincipals(document, (name) => {
    const id = ids.get(name);
    if (id === undefined || !principalIdForm.test(id)) return name;
    principals[id] = name;
    return id;
  });
  return { document: bound, principals: Object.keys(principals).length > 0 ? principals : undefined };
}

/** As it was given; whoever is gone, or has another name now, by unique id. */
export async function shownPolicy({ document, principals = {} }: BoundPolicy, users: Users): Promise<string> {
  const there = await Promise.all(
    Object.entries(principals).map(async ([id, arn]) => ((await users.idOf(arn)) === id ? [id, arn] : [id, id])),
  );
  const names = new Map(there as [string, string][]);
  return names.size === 0 ? document : withPrincipals(document, (name) => names.get(name) ?? name);
}

/** What decides where a text stands in a JSON document; a text that a colon follows is a member's name. */
const tokens = /("[^"\\]*(?:\\.[^"\\]*)*")(\s*:)?|[{}]/gs;
const principalPaths = new Set(['Statement/Principal/AWS', 'Statement/NotPrincipal/AWS']);

/** The document with other names for its principals, and otherwise as it is written. */
function withPrincipals(document: string, rename: (name: string) => string): string {
  /** The member names of the objects that are open; lists do not matter. */
  const path: string[] = [];
  let depth = 0;
  return document.replace(tokens, (token, text: string | undefined, colon: string | undefined) => {
    if (token === '{') depth += 1;
    if (token === '}') path.length = Math.max(0, --depth);
    if (text === undefined) return token;
    const value = JSON.parse(text) as string;
    if (colon !== undefined) path[depth - 1] = value;
    if (colon !== undefined || !principalPaths.has(path.join('/'))) return token;
    const renamed = rename(value);
    return renamed === value ? token : JSON.stringify(renamed);
  });
}
