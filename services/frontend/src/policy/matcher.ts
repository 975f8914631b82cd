/**
 * Compiles patterns with `*` and `?` into one predicate: true for what `patterns` match, or for what `notPatterns` do not.
 * With neither it is true for nothing.
 */
export function newMatcher(
  patterns: readonly string[] | undefined,
  notPatterns: readonly string[] | undefined,
  { ignoreCase }: { ignoreCase: boolean },
): (value: string) => boolean {
  if (patterns) return compile(patterns, ignoreCase);
  if (!notPatterns) return () => false;
  const excluded = compile(notPatterns, ignoreCase);
  return (value) => !excluded(value);
}

/** As `kms:*`, the most usual of all. */
const prefixForm = /^[^*?]*\*$/;

function compile(patterns: readonly string[], ignoreCase: boolean): (value: string) => boolean {
  if (patterns.includes('*')) return () => true;
  const fold = ignoreCase ? (text: string) => text.toLowerCase() : (text: string) => text;
  const folded = patterns.map(fold);
  const exact = new Set(folded.filter((pattern) => !/[*?]/.test(pattern)));
  const prefixes = folded.filter((pattern) => prefixForm.test(pattern)).map((pattern) => pattern.slice(0, -1));
  const globs = folded.filter((pattern) => /[*?]/.test(pattern) && !prefixForm.test(pattern));
  return (value) => {
    const text = fold(value);
    return (
      exact.has(text) ||
      prefixes.some((prefix) => text.startsWith(prefix)) ||
      globs.some((glob) => matchesGlob(glob, text))
    );
  };
}

/** Two pointers, not a regular expression: patterns come from callers, and this never takes more than pattern x text steps. */
function matchesGlob(glob: string, text: string): boolean {
  let g = 0;
  let t = 0;
  let star = -1;
  let resume = 0;
  while (t < text.length) {
    if (glob[g] === '*') {
      star = g++;
      resume = t;
    } else if (glob[g] === '?' || glob[g] === text[t]) {
      g++;
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
