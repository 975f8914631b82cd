/**
 * Base64 (RFC 4648, section 4) from bytes to bytes. Node's own passes through a string, which nobody can overwrite; what is secret
 * stays in buffers here.
 */
const ALPHABET = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/');
const PADDING = 0x3d;
/** Of what is no digit: a bit that no digit has. */
const NONE = 0x40;

const values = new Uint8Array(256).fill(NONE);
for (const [value, digit] of ALPHABET.entries()) values[digit] = value;

/** Two digits for each twelve bits. */
const pairs = Uint16Array.from({ length: 4096 }, (_, bits) => (ALPHABET[bits >> 6]! << 8) | ALPHABET[bits & 63]!);

/** The bytes that `text[start..end)` stands for; undefined unless that is exactly what `writeBase64` writes of them. */
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
    // Bits of the last digit that belong to no byte.
    if (((padding === 1 ? c << 6 : b << 4) & 0xff) !== 0) seen |= NONE;
    bytes[to++] = (a << 2) | (b >> 4);
    if (padding === 1) bytes[to] = (b << 4) | (c >> 2);
  }
  if ((seen & NONE) === 0) return bytes;
  bytes.fill(0);
  return undefined;
}

/** How many characters `writeBase64` writes. */
export function base64Length(bytes: Uint8Array): number {
  return Math.ceil(bytes.length / 3) * 4;
}

/** Writes to `into` from `at` on, and gives where that ends. */
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
