import { tokens } from './strict-json.ts';

/** A place in a text, as AWS's policy simulator counts: both from 1. */
export interface Position {
  readonly Line: number;
  readonly Column: number;
}

/** Where a statement is. The end is the place after it. */
export interface Span {
  readonly start: Position;
  readonly end: Position;
}

/**
 * Where the statements of a valid policy document are, in their order. Each begins where the token before it ends, and
 * one that is in no list after its own brace: so AWS's answers have it.
 */
export function statementSpans(document: string): readonly Span[] {
  const spans: Span[] = [];
  const placeOf = newPlaces(document);
  let [depth, last, isStatement] = [0, '', false];
  /** Of the braces around a statement; undefined outside of `Statement`. */
  let statementDepth: number | undefined;
  let start = 0;
  for (const { 0: token, index } of document.matchAll(tokens)) {
    const end = index + token.length;
    if (token === '{' || token === '[') {
      depth += 1;
      if (depth === 2 && isStatement) [statementDepth, start] = [token === '{' ? 2 : 3, end];
    } else if (token === '}' || token === ']') {
      if (token === '}' && depth === statementDepth) {
        spans.push({ start: placeOf(start), end: placeOf(end) });
        start = end;
      }
      depth -= 1;
      if (depth === 1) statementDepth = undefined;
    } else if (depth === 1 && token === ':') isStatement = last === '"Statement"';
    else if (token !== ',') last = token;
  }
  return spans;
}

/** The places of ascending offsets. */
function newPlaces(text: string): (offset: number) => Position {
  let [line, lineStart, nextBreak] = [1, 0, text.indexOf('\n')];
  return (offset) => {
    while (nextBreak >= 0 && nextBreak < offset) {
      line += 1;
      lineStart = nextBreak + 1;
      nextBreak = text.indexOf('\n', lineStart);
    }
    return { Line: line, Column: offset - lineStart + 1 };
  };
}
