import { closeSync, openSync, readFileSync, readSync } from 'node:fs';

const CHUNK = 8 << 20;
const PAGE = 4096;
const zeros = Buffer.alloc(PAGE);

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

/** Finds any number of needles in one pass: where three bytes begin one, the rest is compared. */
function searchFor(needles: ReadonlyMap<string, Buffer>): (bytes: Buffer) => string[] {
  const isBeginning = new Uint8Array(1 << 24);
  const byBeginning = Map.groupBy(needles, ([, needle]) => needle.readUIntBE(0, 3));
  for (const beginning of byBeginning.keys()) isBeginning[beginning] = 1;
  return (bytes) => {
    const found: string[] = [];
    let three = 0;
    for (let end = 0; end < bytes.length; end++) {
      // Most of a heap was never written to.
      if (three === 0 && end % PAGE === 0 && zeros.equals(bytes.subarray(end, end + PAGE))) end += PAGE;
      three = ((three << 8) | bytes[end]!) & 0xff_ff_ff;
      if (isBeginning[three] === 0) continue;
      for (const [name, needle] of byBeginning.get(three)!) {
        if (needle.equals(bytes.subarray(end - 2, end - 2 + needle.length))) found.push(name);
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

/** 0 for a mapping that cannot be read after all, or is gone since. */
function readAt(file: number, into: Buffer, position: number, length: number): number {
  try {
    return readSync(file, into, 0, length, position);
  } catch {
    return 0;
  }
}
