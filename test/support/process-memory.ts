import { closeSync, openSync, readFileSync, readSync } from 'node:fs';

const CHUNK = 8 << 20;

/** The processes that this one started. */
export function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return text === '' ? [] : text.split(' ').map(Number);
}

/**
 * Which of the needles stand in the memory of a process: all that it can write is read, once. Linux, as root or a
 * parent.
 */
export function findInMemory(pid: number, needles: ReadonlyMap<string, Buffer>): string[] {
  const longest = Math.max(...[...needles.values()].map((needle) => needle.length));
  const search = searchFor(needles);
  const found = new Set<string>();
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  const chunk = Buffer.alloc(CHUNK);
  try {
    for (const { start, end } of writableMappings(pid)) {
      // Chunks overlap, so that nothing hides on a border.
      for (let at = start; at < end; at += CHUNK - longest) {
        const bytes = chunk.subarray(0, readAt(memory, chunk, at, Math.min(CHUNK, end - at)));
        for (const name of search(bytes)) found.add(name);
      }
    }
  } finally {
    closeSync(memory);
  }
  return [...found];
}

const BLOCK = 3;

/**
 * Finds any number of needles in one pass that looks at few bytes (Wu and Manber, "A Fast Algorithm for Multi-Pattern
 * Searching"). It looks at three bytes every so often, so often that three of them lie within every needle. Where the
 * three occur in a needle, it compares the rest.
 */
export function searchFor(needles: ReadonlyMap<string, Buffer>): (bytes: Buffer) => string[] {
  const shortest = Math.min(...[...needles.values()].map((needle) => needle.length));
  const step = shortest - BLOCK + 1;
  const isOfNeedle = new Uint8Array(1 << (8 * BLOCK));
  const places = [...needles].flatMap(([name, needle]) =>
    Array.from({ length: step }, (_, offset) => ({ name, needle, offset })),
  );
  const byBlock = Map.groupBy(places, ({ needle, offset }) => needle.readUIntBE(offset, BLOCK));
  for (const block of byBlock.keys()) isOfNeedle[block] = 1;
  return (bytes) => {
    const found: string[] = [];
    for (let at = 0; at + BLOCK <= bytes.length; at += step) {
      const block = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
      if (isOfNeedle[block] === 0) continue;
      for (const { name, needle, offset } of byBlock.get(block)!) {
        const start = at - offset;
        if (start >= 0 && needle.equals(bytes.subarray(start, start + needle.length))) found.push(name);
      }
    }
    return found;
  };
}

function writableMappings(pid: number): { start: number; end: number }[] {
  const lines = readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n');
  return lines
    .filter((line) => /^\S+ rw/.test(line) && !/\[v(var|syscall|var_vclock)\]/.test(line))
    .map((line) => /^([0-9a-f]+)-([0-9a-f]+)/.exec(line))
    .map((range) => ({ start: Number.parseInt(range?.[1] ?? '0', 16), end: Number.parseInt(range?.[2] ?? '0', 16) }));
}

/** 0 for a mapping that cannot be read, or no longer exists. */
function readAt(file: number, into: Buffer, position: number, length: number): number {
  try {
    return readSync(file, into, 0, length, position);
  } catch {
    return 0;
  }
}
