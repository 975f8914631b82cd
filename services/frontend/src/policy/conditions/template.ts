import type { RequestContext } from './context.ts';

/** A variable: its key in lower case, and what stands for it in a request that has no such key. */
export interface Variable {
  readonly key: string;
  readonly fallback: string | undefined;
}

/** `text` is meant letter by letter; a wildcard matches many characters or one. */
export type Part = { readonly text: string } | { readonly wildcard: '*' | '?' } | Variable;

/**
 * Takes a text of a policy apart. Without `variables` `${` means itself, as in every policy before version 2012-10-17; without
 * `wildcards` `*` and `?` do. undefined: a variable is not written as one (IAM User Guide, "Variables and tags").
 */
export function parseTemplate(
  text: string,
  { variables, wildcards }: { readonly variables: boolean; readonly wildcards: boolean },
): readonly Part[] | undefined {
  const parts: Part[] = [];
  for (const [token] of text.matchAll(tokens)) {
    if (wildcards && (token === '*' || token === '?')) parts.push({ wildcard: token });
    else if (variables && token.startsWith('${')) {
      const part = partOf(token);
      if (part === undefined) return undefined;
      parts.push(part);
    } else parts.push({ text: token });
  }
  return joined(parts);
}

const tokens = /\$\{[^}]*\}?|[*?]|(?:(?!\$\{)[^*?])+/gs;

/** `${aws:username}`, `${aws:PrincipalTag/team, 'none'}`, and `${*}`, `${?}`, `${$}` for the characters themselves. */
function partOf(token: string): Part | undefined {
  const [, character] = /^\$\{([*?$])\}$/.exec(token) ?? [];
  if (character !== undefined) return { text: character };
  const [, key, fallback] = /^\$\{\s*([a-z][\w-]*:[^,'}]+?)\s*(?:,\s*'([^']*)'\s*)?\}$/is.exec(token) ?? [];
  return key === undefined ? undefined : { key: key.toLowerCase(), fallback };
}

function joined(parts: readonly Part[]): Part[] {
  const result: Part[] = [];
  for (const part of parts) {
    const last = result.at(-1);
    if ('text' in part && last !== undefined && 'text' in last)
      result[result.length - 1] = { text: last.text + part.text };
    else result.push(part);
  }
  return result;
}

export function variablesOf(parts: readonly Part[]): Variable[] {
  return parts.filter((part) => 'key' in part);
}

/** The template with the request's values in it, which are text even if they hold wildcards. undefined: one has no value. */
export function fill(parts: readonly Part[], context: RequestContext): readonly Part[] | undefined {
  const filled: Part[] = [];
  for (const part of parts) {
    if (!('key' in part)) {
      filled.push(part);
      continue;
    }
    const value = context.find(part.key) ?? part.fallback;
    // Several values are no text, and "there is none" is what AWS makes of them.
    if (typeof value !== 'string') return undefined;
    filled.push({ text: value });
  }
  return filled;
}
