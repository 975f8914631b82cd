import { type Glob, type GlobPart, globOf, globOfText, matchesGlob, onlyMatchOf, prefixOf } from './glob.ts';
import { type MeteredContext, undecidable } from './context.ts';

/** Undefined if it hangs on a variable whose value is undecidable. */
type Answer = boolean | undefined;

/** Whether a text is one of those that a policy lists. */
export type Test = (value: string, context: MeteredContext) => Answer;

export function not(answer: Answer): Answer {
  return answer === undefined ? undefined : !answer;
}

function isAny<T>(items: readonly T[], test: (item: T) => Answer): Answer {
  let isUndecidable = false;
  for (const item of items) {
    const answer = test(item);
    if (answer === true) return true;
    isUndecidable ||= answer === undefined;
  }
  return isUndecidable ? undefined : false;
}

function areAll<T>(items: readonly T[], test: (item: T) => Answer): Answer {
  return not(isAny(items, (item) => not(test(item))));
}

export interface TextRules {
  readonly variables: boolean;
  readonly wildcards: boolean;
  readonly ignoreCase: boolean;
}

type Fold = (text: string) => string;
const asItIs: Fold = (text) => text;

/** The steps that a test takes beside comparing characters. */
export const STEPS_PER_TEST = 20;
/** The steps to fill in one part of a template. */
const STEPS_PER_PART = 20;

/** A text with malformed variables matches nothing. A variable without a value makes its text match nothing (IAM). */
export function compileTexts(texts: readonly string[], rules: TextRules): Test {
  const fold: Fold = rules.ignoreCase ? (text) => text.toLowerCase() : asItIs;
  const patterns = definedOf([...new Set(texts)].map((text) => patternOf(text, rules, fold)));
  const fixed = compileFixed(patterns.filter(isGlob));
  const variable = patterns.filter((pattern): pattern is readonly Part[] => !isGlob(pattern));
  return (value, context) => {
    context.spend(STEPS_PER_TEST + (rules.ignoreCase ? value.length : 0));
    const text = fold(value);
    return fixed(text, context) || isAny(variable, (parts) => isFilledMatch(parts, text, { context, fold }));
  };
}

/** What a text matches: always the same, or by the request. Undefined if a variable is malformed. */
type Pattern = Glob | readonly Part[];

function patternOf(text: string, rules: Omit<TextRules, 'ignoreCase'>, fold: Fold): Pattern | undefined {
  // Most texts: to parse a template takes ten times as long. Without variables, `${*}` is no wildcard.
  if (!text.includes('${')) return rules.wildcards ? globOfText(fold(text)) : globOf([{ text: fold(text) }]);
  const parts = parseTemplate(text, rules);
  return parts === undefined || !isFixed(parts) ? parts : globOf(folded(parts, fold));
}

function isGlob(pattern: Pattern): pattern is Glob {
  return 'pieces' in pattern;
}

function isFilledMatch(
  parts: readonly Part[],
  text: string,
  { context, fold }: { readonly context: MeteredContext; readonly fold: Fold },
): Answer {
  const filled = fill(parts, context);
  if (filled === undefined) return false;
  if (filled === undecidable) return undefined;
  const glob = globOf(folded(filled, fold));
  const only = onlyMatchOf(glob);
  return only === undefined ? matchesGlob(glob, text, context) : only === text;
}

/** Matches texts without variables. The usual ones are fast: everything, a whole name, a prefix of a name. */
function compileFixed(globs: readonly Glob[]): Test {
  const prefixes = definedOf(globs.map(prefixOf));
  if (prefixes.includes('')) return () => true;
  const exact = new Set(definedOf(globs.map(onlyMatchOf)));
  // Looking into a set is slower than comparing with one text.
  if (globs.length === 1 && exact.size === 1) {
    const [only] = exact;
    return (text) => text === only;
  }
  const others = globs.filter((glob) => onlyMatchOf(glob) === undefined && prefixOf(glob) === undefined);
  const steps = prefixes.reduce((sum, prefix) => sum + prefix.length + 1, 0);
  return (text, context) => {
    if (exact.has(text)) return true;
    context.spend(steps);
    return (
      prefixes.some((prefix) => text.startsWith(prefix)) || others.some((glob) => matchesGlob(glob, text, context))
    );
  };
}

function definedOf<T>(items: readonly (T | undefined)[]): T[] {
  return items.filter((item) => item !== undefined);
}

function folded(parts: readonly GlobPart[], fold: Fold): GlobPart[] {
  return parts.map((part) => ('text' in part ? { text: fold(part.text) } : part));
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
  const arns = [...new Set(patterns)].flatMap((pattern) => {
    const split = splitArn(pattern, variables);
    if (split.length < PARTS && !(completes && split[0] === 'arn')) return [];
    const parts = compileParts(split, variables);
    return parts === undefined ? [] : [parts];
  });
  return (value, context) => {
    context.spend(value.length);
    const texts = splitArn(value, false);
    return texts.length === PARTS && isAny(arns, (parts) => areAll(parts, (part) => matchesPart(part, texts, context)));
  };
}

/** Whether a pattern has all six parts of an ARN. */
export function isArnPattern(pattern: string): boolean {
  const parts = splitArn(pattern, true);
  return parts.length === PARTS && parts[0] === 'arn' && parts[1] !== '' && parts[2] !== '' && parts[5] !== '';
}

/** Of an ARN pattern; a text that alone matches, one that several match, or one that hangs on the request. */
interface PartPattern {
  readonly place: number;
  readonly pattern: string | Pattern;
}

/**
 * Those parts that not everything matches; undefined if one matches nothing. They are data, not functions, which take
 * ten times the memory: a policy may have thousands.
 */
function compileParts(patterns: readonly string[], variables: boolean): readonly PartPattern[] | undefined {
  const compiled: PartPattern[] = [];
  for (const [place, text] of patterns.entries()) {
    if (isAll(text)) continue;
    const pattern = patternOf(text, { variables, wildcards: true }, asItIs);
    if (pattern === undefined) return undefined;
    compiled.push({ place, pattern: isGlob(pattern) ? (onlyMatchOf(pattern) ?? pattern) : pattern });
  }
  return compiled;
}

function matchesPart({ place, pattern }: PartPattern, texts: readonly string[], context: MeteredContext): Answer {
  const text = texts[place]!;
  context.spend(STEPS_PER_TEST);
  if (typeof pattern === 'string') return text === pattern;
  if (isGlob(pattern)) return matchesGlob(pattern, text, context);
  return isFilledMatch(pattern, text, { context, fold: asItIs });
}

/** Splits at the first colons, in a pattern at those outside variable names. */
function splitArn(text: string, variables: boolean): string[] {
  const inNames = variables && text.includes('${') ? colonsInNames(text) : new Set<number>();
  const parts: string[] = [];
  let from = 0;
  for (let at = text.indexOf(':'); at >= 0 && parts.length < PARTS - 1; at = text.indexOf(':', at + 1)) {
    if (inNames.has(at)) continue;
    parts.push(text.slice(from, at));
    from = at + 1;
  }
  return [...parts, text.slice(from)];
}

/** The places of the colons after which a brace closes before another opens. */
function colonsInNames(text: string): ReadonlySet<number> {
  const places = new Set<number>();
  let brace = '';
  for (let at = text.length - 1; at >= 0; at--) {
    if (text[at] === '{' || text[at] === '}') brace = text[at]!;
    else if (text[at] === ':' && brace === '}') places.add(at);
  }
  return places;
}

/** A variable: its key in lower case, and its default for a request without that key. */
interface Variable {
  readonly key: string;
  readonly fallback: string | undefined;
}

type Part = GlobPart | Variable;

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
  if (!token.endsWith('}')) return undefined;
  const name = token.slice(2, -1);
  if (/^[*?$]$/.test(name)) return { text: name };
  const comma = name.includes(',') ? name.indexOf(',') : name.length;
  const key = name.slice(0, comma).trim();
  if (!/^[a-z][\w-]*:[^']+$/i.test(key)) return undefined;
  if (comma === name.length) return { key: key.toLowerCase(), fallback: undefined };
  const [, fallback] = /^'([^']*)'$/.exec(name.slice(comma + 1).trim()) ?? [];
  return fallback === undefined ? undefined : { key: key.toLowerCase(), fallback };
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

function mayHaveVariables(text: string, { variables }: Pick<TextRules, 'variables'>): boolean {
  return variables && text.includes('${');
}

/** The variables of a text, none if one is malformed. */
export function variablesOf(text: string, variables: boolean): Variable[] {
  if (!mayHaveVariables(text, { variables })) return [];
  return variablesIn(parseTemplate(text, { variables, wildcards: true }) ?? []);
}

export function variablesIn(parts: readonly Part[]): Variable[] {
  return parts.filter((part) => 'key' in part);
}

/** Without parsing the many texts that have no variable. */
export function isTemplate(text: string, rules: Omit<TextRules, 'ignoreCase'>): boolean {
  return !mayHaveVariables(text, rules) || parseTemplate(text, rules) !== undefined;
}

function isFixed(parts: readonly Part[]): parts is readonly GlobPart[] {
  return parts.every((part) => !('key' in part));
}

/**
 * The template with the request's values filled in, as literal text even if they hold wildcards. Undefined if one has
 * no value.
 */
function fill(parts: readonly Part[], context: MeteredContext): readonly GlobPart[] | undefined | typeof undecidable {
  context.spend(STEPS_PER_PART * parts.length);
  const filled: GlobPart[] = [];
  for (const part of parts) {
    if (!('key' in part)) {
      filled.push(part);
      continue;
    }
    const value = context.find(part.key) ?? part.fallback;
    if (value === undecidable) return undecidable;
    // Several values are not a text; AWS treats them as no value.
    if (typeof value !== 'string') return undefined;
    context.spend(value.length);
    filled.push({ text: value });
  }
  return filled;
}
