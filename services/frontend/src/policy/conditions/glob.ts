import type { MeteredContext } from './context.ts';

/** A pattern, cut at its stars: between two pieces there may be any characters. */
export interface Glob {
  readonly pieces: readonly Piece[];
  /** What it matches is at least as long. */
  readonly length: number;
}

/** The steps of a match, and of each of its pieces, beside comparing characters. */
const STEPS_PER_GLOB = 10;
const STEPS_PER_PIECE = 5;

/** Characters, with places where any one character will do. */
interface Piece {
  readonly text: string;
  /** Undefined if there are none. */
  readonly open: ReadonlySet<number> | undefined;
}

/** `text` is literal; a wildcard matches many characters or one. */
export type GlobPart = { readonly text: string } | { readonly wildcard: '*' | '?' };

/** Of a text in which every wildcard is one. */
export function globOfText(text: string): Glob {
  const texts = text.split('*');
  const pieces = texts.filter((piece, i) => i === 0 || i === texts.length - 1 || piece !== '').map(pieceOf);
  return { pieces, length: pieces.reduce((sum, piece) => sum + piece.text.length, 0) };
}

function pieceOf(text: string): Piece {
  const open = text.includes('?') ? new Set<number>() : undefined;
  for (let at = text.indexOf('?'); at >= 0; at = text.indexOf('?', at + 1)) open!.add(at);
  return { text, open };
}

export function globOf(parts: readonly GlobPart[]): Glob {
  const pieces: Piece[] = [];
  let text = '';
  let open: Set<number> | undefined;
  const endPiece = (): void => {
    pieces.push({ text, open });
    [text, open] = ['', undefined];
  };
  for (const part of parts) {
    if ('text' in part) text += part.text;
    else if (part.wildcard === '*') endPiece();
    else {
      (open ??= new Set()).add(text.length);
      text += part.wildcard;
    }
  }
  endPiece();
  return {
    // Two stars are as good as one.
    pieces: pieces.filter((piece, i) => i === 0 || i === pieces.length - 1 || piece.text !== ''),
    length: pieces.reduce((sum, piece) => sum + piece.text.length, 0),
  };
}

/** The text that alone matches; undefined if there are several. */
export function onlyMatchOf({ pieces: [first, ...others] }: Glob): string | undefined {
  return others.length === 0 && first!.open === undefined ? first!.text : undefined;
}

/** The text that everything which matches begins with, if that is enough to match. */
export function prefixOf({ pieces: [first, last, ...others] }: Glob): string | undefined {
  return others.length === 0 && last?.text === '' && first!.open === undefined ? first!.text : undefined;
}

/**
 * Each piece is taken where it first fits, which is never wrong, so nothing is tried twice: without a `?` behind a star
 * it takes a fixed number of steps for each character of pattern and text. A piece with a `?` there is tried in each
 * place.
 */
export function matchesGlob({ pieces, length }: Glob, text: string, meter: MeteredContext): boolean {
  meter.spend(STEPS_PER_GLOB);
  if (length > text.length) return false;
  const [first, last] = [pieces[0]!, pieces.at(-1)!];
  if (pieces.length === 1) return length === text.length && isAt(0, first, text, meter);
  const end = text.length - last.text.length;
  if (!isAt(0, first, text, meter) || !isAt(end, last, text, meter)) return false;
  let at = first.text.length;
  for (let i = 1; i < pieces.length - 1; i++) {
    const found = find(pieces[i]!, { text, from: at, end }, meter);
    if (found < 0) return false;
    at = found + pieces[i]!.text.length;
  }
  return true;
}

/** Part of a text. */
interface Stretch {
  readonly text: string;
  readonly from: number;
  readonly end: number;
}

function isAt(at: number, { text: wanted, open }: Piece, text: string, meter: MeteredContext): boolean {
  let i = 0;
  while (i < wanted.length && (wanted.charCodeAt(i) === text.charCodeAt(at + i) || open?.has(i))) i++;
  meter.spend(STEPS_PER_PIECE + i);
  return i === wanted.length;
}

/** Where the piece first is in the stretch; -1 if nowhere. */
function find(piece: Piece, stretch: Stretch, meter: MeteredContext): number {
  if (piece.open === undefined) return findText(piece.text, stretch, meter);
  for (let at = stretch.from; at <= stretch.end - piece.text.length; at++) {
    if (isAt(at, piece, stretch.text, meter)) return at;
  }
  return -1;
}

/** Knuth, Morris and Pratt: the text is read once. V8's own search may compare anew in each place. */
function findText(wanted: string, { text, from, end }: Stretch, meter: MeteredContext): number {
  if (end - from < wanted.length) return -1;
  const borders = bordersOf(wanted, meter);
  let [at, matched] = [from, 0];
  for (; at < end && matched < wanted.length; at++) {
    const next = text.charCodeAt(at);
    while (matched > 0 && wanted.charCodeAt(matched) !== next) matched = borders[matched - 1]!;
    if (wanted.charCodeAt(matched) === next) matched++;
  }
  meter.spend(2 * (at - from));
  return matched === wanted.length ? at - matched : -1;
}

/** Of each beginning of the text: how long the longest end of it is that is a beginning as well. */
function bordersOf(text: string, meter: MeteredContext): readonly number[] {
  meter.spend(STEPS_PER_PIECE + 2 * text.length);
  const borders = [0];
  for (let [i, border] = [1, 0]; i < text.length; i++) {
    const next = text.charCodeAt(i);
    while (border > 0 && text.charCodeAt(border) !== next) border = borders[border - 1]!;
    if (text.charCodeAt(border) === next) border++;
    borders.push(border);
  }
  return borders;
}
