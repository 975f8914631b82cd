/**
 * Base64 (RFC 4648, section 4) from bytes to bytes. Node's own goes through a string, which nothing can overwrite; here
 * secrets stay in buffers.
 */
const ALPHABET = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/');
const PADDING = 0x3d;
/** Marks a non-digit: a bit that no digit has. */
const NONE = 0x40;

const values = new Uint8Array(256).fill(NONE);
for (const [value, digit] of ALPHABET.entries()) values[digit] = value;

/** The two digits for every twelve bits. */
const pairs = Uint16Array.from({ length: 4096 }, (_, bits) => (ALPHABET[bits >> 6]! << 8) | ALPHABET[bits & 63]!);

/** The bytes that `text[start..end)` encodes; undefined unless the text is exactly what `writeBase64` would write. */
export function readBase64(text: Uint8Array, start: number, end: number): Buffer | undefined {
  if ((end - start) % 4 !== 0) return undefined;
  let padding = 0;
  if (end > start && text[end - 1] === PADDING) padding = text[end - 2] === PADDING ? 2 : 1;
  const bytes = Buffer.allocUnsafe(((end - start) / 4) * 3 - padding);
  const whole = padding === 0 ? end : end - 4;
  let seen = 0;
  let to = 0;
  for (let at = start; at < whole; at += 4) {
    const a = values[text[at]!]!;
    const b = values[text[at + 1]!]!;
    const c = values[text[at + 2]!]!;
    const d = values[text[at + 3]!]!;
    seen |= a | b | c | d;
    bytes[to++] = (a << 2) | (b >> 4);
    bytes[to++] = (b << 4) | (c >> 2);
    bytes[to++] = (c << 6) | d;
  }
  if (padding > 0) {
    const a = values[text[whole]!]!;
    const b = values[text[whole + 1]!]!;
    const c = padding === 1 ? values[text[whole + 2]!]! : 0;
    seen |= a | b | c;
    // The bits of the last digit that belong to no byte.
    if (((padding === 1 ? c << 6 : b << 4) & 0xff) !== 0) seen |= NONE;
    bytes[to++] = (a << 2) | (b >> 4);
    if (padding === 1) bytes[to] = (b << 4) | (c >> 2);
  }
  if ((seen & NONE) === 0) return bytes;
  bytes.fill(0);
  return undefined;
}

/** The number of characters that `writeBase64` writes. */
export function base64Length(bytes: Uint8Array): number {
  return Math.ceil(bytes.length / 3) * 4;
}

/** Writes to `into` at `at`; returns the end position. */
export function writeBase64(bytes: Uint8Array, into: Uint8Array, at: number): number {
  const { length } = bytes;
  const view = new DataView(into.buffer, into.byteOffset, into.byteLength);
  const whole = length - (length % 3);
  let to = at;
  for (let from = 0; from < whole; from += 3) {
    const three = (bytes[from]! << 16) | (bytes[from + 1]! << 8) | bytes[from + 2]!;
    view.setUint32(to, (pairs[three >> 12]! << 16) | pairs[three & 0xfff]!);
    to += 4;
  }
  if (whole === length) return to;
  const two = (bytes[whole]! << 8) | (whole + 1 < length ? bytes[whole + 1]! : 0);
  view.setUint16(to, pairs[two >> 4]!);
  into[to + 2] = whole + 1 < length ? ALPHABET[(two & 15) << 2]! : PADDING;
  into[to + 3] = PADDING;
  return to + 4;
}

/** A JSON text with its blobs taken out, so that they never become strings. */
interface Lifted {
  /** The JSON with "" in place of the blobs. */
  readonly text: string;
  /** By member; the last duplicate wins. */
  readonly blobs: ReadonlyMap<string, Buffer>;
}

const QUOTE = 0x22;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const [SLASH, OPEN_OBJECT, CLOSE_OBJECT, OPEN_LIST, CLOSE_LIST] = Buffer.from('/{}[]') as Iterable<number>;

/**
 * Takes out the base64 strings of a JSON object's members with one of `names`. Not a JSON parser: it counts brackets,
 * goes from quote to quote, and replaces only what stands between two quotes. The rest is JSON if and only if `body`
 * was, and means the same. Returns undefined to leave the body to other code: for any escape but that of "/", and for
 * invalid base64.
 */
export function liftBlobs(body: Buffer, names: readonly Buffer[]): Lifted | undefined {
  if (!body.includes(BACKSLASH)) return lift(body, names);
  const plain = withoutEscapedSlashes(body);
  if (plain === undefined) return undefined;
  const lifted = lift(plain, names);
  plain.fill(0);
  return lifted;
}

function lift(body: Buffer, names: readonly Buffer[]): Lifted | undefined {
  const blobs = new Map<string, Buffer>();
  let text = '';
  let kept = 0;
  let depth = 0;
  for (let at = 0; at < body.length; at++) {
    const byte = body[at];
    if (byte === OPEN_OBJECT || byte === OPEN_LIST) depth++;
    else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) depth--;
    if (byte !== QUOTE) continue;
    const start = at + 1;
    at = endOf(body, start);
    const value = depth === 1 ? valueAfter(body, at + 1) : undefined;
    const name = value === undefined ? undefined : names.find((known) => stands(known, body, start, at));
    if (value === undefined || name === undefined) continue;
    at = body.indexOf(QUOTE, value);
    const blob = at === -1 ? undefined : readBase64(body, value, at);
    if (blob === undefined) return undefined;
    setBlob(blobs, name.toString(), blob);
    text += body.toString('utf8', kept, value);
    kept = at;
  }
  return { text: text + body.toString('utf8', kept, body.length), blobs };
}

function setBlob(blobs: Map<string, Buffer>, name: string, blob: Buffer): void {
  blobs.get(name)?.fill(0);
  blobs.set(name, blob);
}

/** The end of the string that begins at `start`; most strings are too short to call `indexOf`. */
function endOf(body: Buffer, start: number): number {
  let at = start;
  while (at < body.length && body[at] !== QUOTE) at++;
  return at;
}

function stands(name: Buffer, body: Buffer, start: number, end: number): boolean {
  if (name.length !== end - start) return false;
  for (let at = 0; at < name.length; at++) if (name[at] !== body[start + at]) return false;
  return true;
}

/**
 * The start of the string value whose name ends before `at`; undefined if the value is not a string or this is not a
 * name.
 */
function valueAfter(body: Buffer, at: number): number | undefined {
  const colon = afterSpace(body, at);
  if (body[colon] !== COLON) return undefined;
  const value = afterSpace(body, colon + 1);
  return body[value] === QUOTE ? value + 1 : undefined;
}

function afterSpace(body: Buffer, start: number): number {
  let at = start;
  while (body[at] === 0x20 || body[at] === 0x0a || body[at] === 0x0d || body[at] === 0x09) at++;
  return at;
}

/**
 * Some clients escape "/", and base64 has nothing else to escape. Outside a string it is invalid JSON, with or without
 * the escape.
 */
function withoutEscapedSlashes(body: Buffer): Buffer | undefined {
  const plain = Buffer.allocUnsafe(body.length);
  let to = 0;
  let from = 0;
  for (let at = body.indexOf(BACKSLASH); at !== -1; at = body.indexOf(BACKSLASH, from)) {
    if (body[at + 1] !== SLASH) {
      plain.fill(0);
      return undefined;
    }
    to += body.copy(plain, to, from, at);
    from = at + 1;
  }
  to += body.copy(plain, to, from);
  return plain.subarray(0, to);
}
