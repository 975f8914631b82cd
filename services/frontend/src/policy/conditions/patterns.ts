import type { RequestContext } from './context.ts';

/** Whether a text is one of those that a policy lists. */
export type Test = (value: string, context: RequestContext) => boolean;

export interface TextRules {
  readonly variables: boolean;
  readonly wildcards: boolean;
  readonly ignoreCase: boolean;
}

/** A text with malformed variables matches nothing. A variable without a value makes its text match nothing (IAM). */
export function compileTexts(texts: readonly string[], rules: TextRules): Test {
  const fold = rules.ignoreCase ? (text: string) => text.toLowerCase() : (text: string) => text;
  const templates = texts.flatMap((text) => {
    const parts = parseTemplate(text, rules);
    return parts === undefined ? [] : [parts];
  });
  const fixed = compileFixed(
    templates.filter((parts) => variablesOf(parts).length === 0).map((parts) => globOf(parts, fold)),
  );
  const variable = templates.filter((parts) => variablesOf(parts).length > 0);
  if (variable.length === 0) return (value) => fixed(fold(value));
  return (value, context) => {
    const text = fold(value);
    return fixed(text) || variable.some((parts) => isFilledMatch(parts, text, { context, fold }));
  };
}

function isFilledMatch(
  parts: readonly Part[],
  text: string,
  { context, fold }: { context: RequestContext; fold: (text: string) => string },
): boolean {
  const filled = fill(parts, context);
  if (filled === undefined) return false;
  const only = filled.length === 1 ? filled[0] : undefined;
  return only && 'text' in only ? fold(only.text) === text : matchesGlob(globOf(filled, fold), text);
}

/** Matches texts without variables. The usual ones are fast: everything, a whole name, a prefix of a name. */
function compileFixed(globs: readonly string[]): (text: string) => boolean {
  if (globs.includes('*')) return () => true;
  const exact = new Set(globs.filter((glob) => !/[*?]/.test(glob)).map(unescaped));
  const prefixes = globs.filter((glob) => /^[^*?\0]+\*$/.test(glob)).map((glob) => glob.slice(0, -1));
  const others = globs.filter((glob) => /[*?]/.test(glob) && !/^[^*?\0]+\*$/.test(glob));
  // Looking into a set is slower than comparing with one text.
  if (globs.length === 1 && exact.size === 1) {
    const [only] = exact;
    return (text) => text === only;
  }
  return (text) =>
    exact.has(text) ||
    prefixes.some((prefix) => text.startsWith(prefix)) ||
    others.some((glob) => matchesGlob(glob, text));
}

/** A glob in which `*` and `?` are wildcards and the character after a NUL is literal. */
function globOf(parts: readonly Part[], fold: (text: string) => string = (text) => text): string {
  return parts
    .map((part) => {
      if ('wildcard' in part) return part.wildcard;
      return 'text' in part ? escaped(fold(part.text)) : '';
    })
    .join('');
}

function escaped(text: string): string {
  return /[*?\0]/.test(text) ? text.replaceAll(/[*?\0]/g, '\0$&') : text;
}

function unescaped(glob: string): string {
  return glob.replaceAll(/\0(.)/gs, '$1');
}

/** Two pointers, not a regular expression: patterns come from callers, and this takes at most pattern x text steps. */
function matchesGlob(glob: string, text: string): boolean {
  let g = 0;
  let t = 0;
  let star = -1;
  let resume = 0;
  while (t < text.length) {
    const isEscaped = glob[g] === '\0';
    if (glob[g] === '*') {
      star = g++;
      resume = t;
    } else if (isEscaped ? glob[g + 1] === text[t] : glob[g] === '?' || glob[g] === text[t]) {
      g += isEscaped ? 2 : 1;
      t++;
    } else if (star >= 0) {
      g = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (glob[g] === '*') g++;
  return g === glob.length;
}

const PARTS = 6;
const isAll = (pattern: string): boolean => /^\*+$/.test(pattern);

/**
 * ARN patterns. Each of the six parts is matched separately, so that a wildcard stays within its part; the last part
 * takes the rest, colons included. `completes`: a pattern with fewer parts matches anything in the missing ones, as in
 * Resource; otherwise such a pattern matches nothing. `*` alone matches whatever a request is about, even if it is not
 * an ARN. (IAM User Guide, "Resource"; "ARN condition operators".)
 */
export function compileArns(
  patterns: readonly string[],
  { variables, completes }: { readonly variables: boolean; readonly completes: boolean },
): Test {
  if (completes && patterns.some(isAll)) return () => true;
  const tests = patterns.flatMap((pattern) => {
    const split = splitArn(pattern, variables);
    if (split.length < PARTS && !(completes && split[0] === 'arn')) return [];
    return [compileParts([...split, ...Array<string>(PARTS - split.length).fill('*')], variables)];
  });
  return (value, context) => tests.some((test) => test(value, context));
}

/** Whether a pattern has all six parts of an ARN. */
export function isArnPattern(pattern: string): boolean {
  const parts = splitArn(pattern, true);
  return parts.length === PARTS && parts[0] === 'arn' && parts[1] !== '' && parts[2] !== '' && parts[5] !== '';
}

function compileParts(patterns: readonly string[], variables: boolean): Test {
  const tests = patterns.map((pattern) => compileTexts([pattern], { variables, wildcards: true, ignoreCase: false }));
  return (value, context) => {
    const parts = splitArn(value, false);
    return parts.length === PARTS && tests.every((test, i) => test(parts[i]!, context));
  };
}

/** Splits at colons outside variable names. */
function splitArn(pattern: string, variables: boolean): string[] {
  const pieces = variables && pattern.includes('${') ? pattern.split(/:(?![^{}]*\})/) : pattern.split(':');
  return pieces.length <= PARTS ? pieces : [...pieces.slice(0, PARTS - 1), pieces.slice(PARTS - 1).join(':')];
}

/** A variable: its key in lower case, and its default for a request without that key. */
interface Variable {
  readonly key: string;
  readonly fallback: string | undefined;
}

/** `text` is literal; a wildcard matches many characters or one. */
type Part = { readonly text: string } | { readonly wildcard: '*' | '?' } | Variable;

/**
 * Parses a text from a policy. Without `variables`, `${` is literal, as in every policy before version 2012-10-17;
 * without `wildcards`, `*` and `?` are. Undefined if a variable is malformed (IAM User Guide, "Variables and tags").
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

/** `${aws:username}`, `${aws:PrincipalTag/team, 'none'}`; and `${*}`, `${?}`, `${$}` for the literal characters. */
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

/**
 * The template with the request's values filled in, as literal text even if they hold wildcards. Undefined if one has
 * no value.
 */
function fill(parts: readonly Part[], context: RequestContext): readonly Part[] | undefined {
  const filled: Part[] = [];
  for (const part of parts) {
    if (!('key' in part)) {
      filled.push(part);
      continue;
    }
    const value = context.find(part.key) ?? part.fallback;
    // Several values are not a text; AWS treats them as no value.
    if (typeof value !== 'string') return undefined;
    filled.push({ text: value });
  }
  return filled;
}
