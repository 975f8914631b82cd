import type { RequestContext } from './context.ts';
import { fill, parseTemplate, type Part, variablesOf } from './template.ts';

/** Whether a text is one of those that a policy lists. */
export type Test = (value: string, context: RequestContext) => boolean;

export interface TextRules {
  readonly variables: boolean;
  readonly wildcards: boolean;
  readonly ignoreCase: boolean;
}

/** A text whose variables are not written as such matches nothing; a variable without a value makes its text match nothing (IAM). */
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

/** Of texts without variables, quick for those that are usual: everything, a whole name, the beginning of a name. */
function compileFixed(globs: readonly string[]): (text: string) => boolean {
  if (globs.includes('*')) return () => true;
  const exact = new Set(globs.filter((glob) => !/[*?]/.test(glob)).map(unescaped));
  const prefixes = globs.filter((glob) => /^[^*?\0]+\*$/.test(glob)).map((glob) => glob.slice(0, -1));
  const others = globs.filter((glob) => /[*?]/.test(glob) && !/^[^*?\0]+\*$/.test(glob));
  // A set is slower to ask than one text.
  if (globs.length === 1 && exact.size === 1) {
    const [only] = exact;
    return (text) => text === only;
  }
  return (text) =>
    exact.has(text) ||
    prefixes.some((prefix) => text.startsWith(prefix)) ||
    others.some((glob) => matchesGlob(glob, text));
}

/** A glob in which `*` and `?` are wildcards, and what follows a NUL is itself. */
export function globOf(parts: readonly Part[], fold: (text: string) => string = (text) => text): string {
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

/** Two pointers, not a regular expression: patterns come from callers, and this never takes more than pattern x text steps. */
export function matchesGlob(glob: string, text: string): boolean {
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
