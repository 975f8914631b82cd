/** `parseStrictJson` refuses the text, although it may be JSON. */
export class NotStrictJsonError extends Error {
  override name = 'NotStrictJsonError';
}

/** Enough for any policy: document, statements, statement, condition, operator, key, values. */
const MAX_DEPTH = 8;

/** The tokens that determine nesting and names in a JSON text; everything else lies between them. */
export const tokens = /"[^"\\]*(?:\\.[^"\\]*)*"|[[\]{}:,]/gs;

/**
 * Parses a text that means the same to every reader. JSON does not define an object that repeats a name, some readers
 * lose `__proto__`, and V8's mistakes an escaped name for another (read-json.ts of the API); no policy needs any of
 * these. Throws NotStrictJsonError for those, for text that nests too deeply or contains half a character, and for
 * anything that is not JSON.
 */
export function parseStrictJson(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new NotStrictJsonError('not JSON', { cause });
  }
  assertOneMeaning(text);
  return value;
}

/** `text` is valid JSON. */
function assertOneMeaning(text: string): void {
  /** The names so far in each open object; undefined for a list. */
  const open: (Set<string> | undefined)[] = [];
  let last = '';
  for (const [token] of text.matchAll(tokens)) {
    if (token === '{' || token === '[') open.push(token === '{' ? new Set() : undefined);
    else if (token === '}' || token === ']') open.pop();
    else if (token === ':') addName(open.at(-1)!, last);
    else if (token !== ',') last = wellFormed(token);
    if (open.length > MAX_DEPTH) throw new NotStrictJsonError('nested too deep');
  }
}

function wellFormed(token: string): string {
  if (!(JSON.parse(token) as string).isWellFormed()) throw new NotStrictJsonError('half a character');
  return token;
}

/** `name` includes its quotes. */
function addName(names: Set<string>, name: string): void {
  if (name.includes('\\')) throw new NotStrictJsonError(`an escape in the name ${name}`);
  if (name === '"__proto__"') throw new NotStrictJsonError('a name that some readers lose');
  if (names.has(name)) throw new NotStrictJsonError(`the name ${name} twice`);
  names.add(name);
}
