import { compileTexts, type Test } from './text-test.ts';

const PARTS = 6;
const isAll = (pattern: string): boolean => /^\*+$/.test(pattern);

/**
 * Patterns of ARNs: each of the six parts is matched by itself, so that a wildcard stays within its part, and the last part has the
 * rest, colons and all. `completes`: what a pattern has fewer parts of is anything, as in Resource; else such a pattern matches nothing.
 * `*` alone is whatever a request is about, which may be no ARN. (IAM User Guide, "Resource"; "ARN condition operators".)
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

/** Whether a pattern has the six parts of an ARN. */
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

/** At the colons that are not in a variable's name. */
function splitArn(pattern: string, variables: boolean): string[] {
  const pieces = variables && pattern.includes('${') ? pattern.split(/:(?![^{}]*\})/) : pattern.split(':');
  return pieces.length <= PARTS ? pieces : [...pieces.slice(0, PARTS - 1), pieces.slice(PARTS - 1).join(':')];
}
