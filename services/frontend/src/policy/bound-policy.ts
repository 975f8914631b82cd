import type { Policy } from './document.ts';
import { principalIdForm } from './principals.ts';
import type { PrincipalIds, Users } from './users.ts';

/**
 * A policy as it is stored. The users, roles and sessions that it names are replaced by their unique ids, as in AWS, so
 * that it does not admit somebody created later under the same name (IAM User Guide, "AWS JSON policy elements:
 * Principal").
 */
export interface BoundPolicy {
  readonly document: string;
  /** Their ARNs when the policy was put, by unique id; undefined for a policy that names nobody. */
  readonly principals: Readonly<Record<string, string>> | undefined;
}

/** Principals that are looked for in one go: a policy of 32 KiB names some 900. */
const READ_AT_ONCE = 16;

/** The ARNs that the policy names as principals. */
export function principalArnsOf({ statements }: Policy): readonly string[] {
  return statements.flatMap(({ principals, notPrincipals }) => [...((principals ?? notPrincipals)?.named ?? [])]);
}

/** `document` is a policy from a caller. Anyone without an id in `ids` stays named by ARN. */
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

/**
 * The policy as it was given, but with anyone deleted or renamed since shown by unique id, and principals without
 * escapes. `askedBy`: the account that asks.
 */
export async function shownPolicy(
  { document, principals = {} }: BoundPolicy,
  users: Users,
  askedBy: string,
): Promise<string> {
  const named = Object.entries(principals);
  const names = new Map<string, string>();
  for (let at = 0; at < named.length; at += READ_AT_ONCE) {
    const some = named.slice(at, at + READ_AT_ONCE);
    await Promise.all(some.map(async ([id, arn]) => names.set(id, (await users.idOf(arn, askedBy)) === id ? arn : id)));
  }
  return withPrincipals(document, (name) => names.get(name) ?? name);
}

/** The tokens that give a string its place in a JSON document. A string followed by a colon is a member name. */
const tokens = /("[^"\\]*(?:\\.[^"\\]*)*")(\s*:)?|[{}]/gs;
const principalPaths = new Set(['Statement/Principal/AWS', 'Statement/NotPrincipal/AWS']);

/**
 * The document with its principals renamed and otherwise exactly as written. All principals lose their escapes, also
 * those that keep their name: an escape that stays would say of another account's user that there is none.
 */
function withPrincipals(document: string, rename: (name: string) => string): string {
  /** The member names that lead to the present object; lists do not matter. */
  const path: string[] = [];
  let depth = 0;
  return document.replace(tokens, (token, text: string | undefined, colon: string | undefined) => {
    if (token === '{') depth += 1;
    if (token === '}') path.length = Math.max(0, --depth);
    if (text === undefined) return token;
    const value = JSON.parse(text) as string;
    if (colon !== undefined) path[depth - 1] = value;
    if (colon !== undefined || !principalPaths.has(path.join('/'))) return token;
    return JSON.stringify(rename(value));
  });
}
