/** Holds the text of a parsed object's numbers, as they were written. */
export const LITERALS = Symbol('literals');
export type JsonObject = Record<string, unknown> & { [LITERALS]?: Record<string, string> };

/**
 * Lists and objects nested in each other: far more than any request has, but a recursive reader must stop somewhere.
 */
export const MAX_DEPTH = 64;

/**
 * Members of an object, and items of a list: more than any request has. An encryption context of 8,192 characters has
 * one more at most, whose name is empty.
 */
export const MAX_MEMBERS = 8_193;

/** The same of a whole body: a list of tags has three for each. Lists in lists could otherwise have millions. */
export const MAX_MEMBERS_IN_ALL = 4 * MAX_MEMBERS;

/** There are more than `MAX_MEMBERS`, or `MAX_MEMBERS_IN_ALL`. What follows was not read. */
export class TooManyError extends SyntaxError {
  override name = 'TooManyError';
  /** Names of members that lead there, and indexes of items. */
  readonly path: (string | number)[] = [];
}

const space = /[ \t\r\n]*/y;
// oxlint-disable-next-line no-control-regex -- RFC 8259: control characters stand in no string
const string = /"[^"\\\u0000-\u001f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\u0000-\u001f]*)*"/y;
const scalar = /true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?/y;

/**
 * Reads JSON (RFC 8259) where `JSON.parse` cannot be trusted: it keeps the text of every number, and decodes an escape
 * in a name correctly. V8's JSON.parse (Node 26: V8 14.6) does not always: if an object read before has a name that
 * starts with the escaped name as written, V8 takes that name instead, so a stranger's request decides what ours says.
 * Objects have no prototype; the last of duplicate names wins. Throws SyntaxError,
 * and `TooManyError` as soon as something is larger than any request's.
 */
export function readJson(text: string): unknown {
  return new Reader(text).read();
}

class Reader {
  readonly #text: string;
  #at = 0;
  /** The scalar last read, as written. */
  #literal = '';
  #membersInAll = 0;

  constructor(text: string) {
    this.#text = text;
  }

  read(): unknown {
    this.#match(space);
    const value = this.#value(0);
    if (this.#at < this.#text.length) throw this.#error();
    return value;
  }

  #value(depth: number): unknown {
    if (depth > MAX_DEPTH) throw this.#error();
    if (this.#takeIf('{')) return this.#object(depth);
    if (this.#takeIf('[')) return this.#list(depth);
    if (this.#text[this.#at] === '"') return this.#string();
    this.#literal = this.#token(scalar);
    return JSON.parse(this.#literal) as unknown;
  }

  #object(depth: number): JsonObject {
    const object = Object.create(null) as JsonObject;
    if (this.#takeIf('}')) return object;
    let count = 0;
    do {
      this.#countMember(++count);
      const name = this.#string();
      this.#take(':');
      const value = this.#valueAt(name, depth + 1);
      object[name] = value;
      if (typeof value === 'number') {
        (object[LITERALS] ??= Object.create(null) as Record<string, string>)[name] = this.#literal;
      }
    } while (this.#takeIf(','));
    this.#take('}');
    return object;
  }

  #list(depth: number): unknown[] {
    const list: unknown[] = [];
    if (this.#takeIf(']')) return list;
    do {
      this.#countMember(list.length + 1);
      list.push(this.#valueAt(list.length, depth + 1));
    } while (this.#takeIf(','));
    this.#take(']');
    return list;
  }

  #countMember(inItsObject: number): void {
    if (inItsObject > MAX_MEMBERS || ++this.#membersInAll > MAX_MEMBERS_IN_ALL) throw new TooManyError();
  }

  #valueAt(place: string | number, depth: number): unknown {
    try {
      return this.#value(depth);
    } catch (error) {
      if (error instanceof TooManyError) error.path.unshift(place);
      throw error;
    }
  }

  /** A string on its own is read correctly: V8 guesses only names. */
  #string(): string {
    return JSON.parse(this.#token(string)) as string;
  }

  #take(character: string): void {
    if (!this.#takeIf(character)) throw this.#error();
  }

  #takeIf(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    this.#match(space);
    return true;
  }

  #token(pattern: RegExp): string {
    const start = this.#at;
    if (!this.#match(pattern)) throw this.#error();
    const token = this.#text.slice(start, this.#at);
    this.#match(space);
    return token;
  }

  #match(pattern: RegExp): boolean {
    pattern.lastIndex = this.#at;
    if (!pattern.test(this.#text)) return false;
    this.#at = pattern.lastIndex;
    return true;
  }

  #error(): SyntaxError {
    return new SyntaxError(`no JSON at character ${this.#at}`);
  }
}
