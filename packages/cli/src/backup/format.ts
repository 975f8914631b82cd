import { z } from 'zod';

/** How much of a backup is read or written at once. */
export const CHUNK_BYTES = 1 << 18;

/**
 * A backup is text, one JSON value per line: a head, pieces of stored values, checkpoints, and a tail
 * (docs/formats.md). All its secrets are sealed under domain keys, and its domain tokens are sealed for the members.
 */
export const Head = z.discriminatedUnion('version', [
  // Whole values without checkpoints; includes derived values.
  z.strictObject({ keyfleet: z.literal('backup'), version: z.literal(1) }),
  z.strictObject({
    keyfleet: z.literal('backup'),
    version: z.literal(2),
    begunAt: z.iso.datetime(),
    /** The Redis processes that it is read from, in this order, as `holdersOf` names them. */
    runIds: z.array(z.string()),
  }),
]);
export type Head = z.output<typeof Head>;

/**
 * Byte strings are base64; the digest vouches for them. `from`: how many members of a large value are in earlier
 * pieces.
 */
const Piece = z.discriminatedUnion('type', [
  z.strictObject({ name: z.string(), type: z.literal('string'), value: z.string() }),
  z.strictObject({
    name: z.string(),
    type: z.literal('hash'),
    from: z.int().optional(),
    value: z.record(z.string(), z.string()),
  }),
  z.strictObject({ name: z.string(), type: z.literal('list'), from: z.int().optional(), value: z.array(z.string()) }),
]);
export type Piece = z.output<typeof Piece>;
export type ListPiece = Extract<Piece, { type: 'list' }>;

/** A position in the iteration over Redis's names: SCAN's cursor within a stage and a node. */
export const Position = z.strictObject({ stage: z.int(), node: z.int(), cursor: z.string() });
export type Position = z.output<typeof Position>;

/**
 * Describes everything before a line: the number of lines with a piece, the number of values that begin in them, and
 * the SHA-256 of all bytes.
 */
const Sum = z.strictObject({ count: z.int(), values: z.int(), sha256: z.string() });
export type Sum = z.output<typeof Sum>;

export const Checkpoint = z.strictObject({ checkpoint: Position, ...Sum.shape });
export const Tail = z.strictObject({ ...Sum.shape, values: z.int().optional() });

/** The most fields of a hash in one piece, and in one command. */
export const HASH_PIECE = 1000;
/** In a large domain a domain token has some 100 KB. */
export const LIST_PIECE = 32;

export function formatLine(line: Head | Piece | z.output<typeof Checkpoint> | z.output<typeof Tail>): string {
  return `${JSON.stringify(line)}\n`;
}

/**
 * A line's content, in pieces that fit one command: the first release wrote whole values. Throws ZodError and
 * SyntaxError.
 */
export function* piecesOf(line: string): Generator<Piece> {
  const piece = Piece.parse(JSON.parse(line));
  if (piece.type === 'string') return yield piece;
  const { from = 0 } = piece;
  if (piece.type === 'list') {
    for (let at = 0; at < piece.value.length; at += LIST_PIECE)
      yield { ...piece, from: from + at, value: piece.value.slice(at, at + LIST_PIECE) };
    return;
  }
  const fields = Object.entries(piece.value);
  for (let at = 0; at < fields.length; at += HASH_PIECE)
    yield { ...piece, from: from + at, value: Object.fromEntries(fields.slice(at, at + HASH_PIECE)) };
}

/** Whether a value begins with this piece. */
export function isFirst(piece: Piece): boolean {
  return piece.type === 'string' || (piece.from ?? 0) === 0;
}
