import type { Answer } from './endpoint.ts';

const HEAD_END = Buffer.from('\r\n\r\n');
const NOTHING: Buffer = Buffer.alloc(0);

interface Head {
  readonly status: number;
  /** Undefined: until the server closes. */
  readonly length: number | 'chunked' | undefined;
  readonly closes: boolean;
  readonly end: number;
}

/**
 * Answers of HTTP/1.1 from the bytes of one connection, one after the other: with a length, in chunks, or until the
 * end.
 */
export class AnswerParser {
  #received = NOTHING;
  #head: Head | undefined;

  /** Something has come of an answer that is not complete. */
  get isInside(): boolean {
    return this.#received.length > 0;
  }

  /** After the last answer the server closes the connection. */
  closes = false;

  push(chunk: Buffer): Answer | undefined {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    this.#head ??= headOf(this.#received);
    if (this.#head === undefined) return undefined;
    const { length, end } = this.#head;
    if (length === undefined) return undefined;
    if (length === 'chunked') return this.#chunked(this.#head);
    if (this.#received.length < end + length) return undefined;
    return this.#take(this.#head, this.#received.subarray(end, end + length), end + length);
  }

  /** The server has closed: the answer whose end that is. */
  finish(): Answer | undefined {
    const head = this.#head;
    if (head === undefined || head.length !== undefined) return undefined;
    return this.#take(head, this.#received.subarray(head.end), this.#received.length);
  }

  #chunked(head: Head): Answer | undefined {
    const parts: Buffer[] = [];
    for (let at = head.end; ;) {
      const lineEnd = this.#received.indexOf('\r\n', at);
      if (lineEnd < 0) return undefined;
      const size = Number.parseInt(this.#received.toString('latin1', at, lineEnd), 16);
      const from = lineEnd + 2;
      if (this.#received.length < from + size + 2) return undefined;
      at = from + size + 2;
      if (size === 0) return this.#take(head, Buffer.concat(parts), at);
      parts.push(this.#received.subarray(from, from + size));
    }
  }

  #take({ status, closes }: Head, body: Buffer, end: number): Answer {
    this.#received = end === this.#received.length ? NOTHING : this.#received.subarray(end);
    this.#head = undefined;
    this.closes = closes;
    return status >= 200 && status < 300 ? { status, body } : { status, body, failure: failureOf(status, body) };
  }
}

function headOf(received: Buffer): Head | undefined {
  const at = received.indexOf(HEAD_END);
  if (at < 0) return undefined;
  const text = received.toString('latin1', 0, at);
  const status = Number(text.slice(9, 12));
  const end = at + HEAD_END.length;
  const closes = text.startsWith('HTTP/1.0') || /\r\nconnection: *close/i.test(text);
  const length = /\r\ncontent-length: *(\d+)/i.exec(text)?.[1];
  if (length !== undefined) return { status, length: Number(length), closes, end };
  if (/\r\ntransfer-encoding: *chunked/i.test(text)) return { status, length: 'chunked', closes, end };
  return { status, length: status === 204 || status === 304 ? 0 : undefined, closes, end };
}

/** How an answer failed, in a word or two: the code of AWS's JSON protocol, or HTTP's status. */
function failureOf(status: number, body: Buffer): string {
  try {
    const { __type: type } = JSON.parse(body.toString()) as { __type?: unknown };
    // A server may put a namespace before the code.
    if (typeof type === 'string') return type.slice(type.indexOf('#') + 1);
  } catch {
    // Not AWS's JSON.
  }
  return `HTTP ${status}`;
}
