import { closeSync, openSync, readFileSync, readSync } from 'node:fs';

const CHUNK = 8 << 20;

/** Which of the needles stand in the memory of a process: every readable mapping is read. Linux, as root or a parent. */
export function findInMemory(pid: number, needles: ReadonlyMap<string, Buffer>): string[] {
  const longest = Math.max(...[...needles.values()].map((needle) => needle.length));
  const found = new Set<string>();
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  const chunk = Buffer.alloc(CHUNK);
  try {
    for (const { start, end } of readableMappings(pid)) {
      // Chunks overlap, so that nothing hides on a border.
      for (let at = start; at < end; at += CHUNK - longest) {
        const bytes = chunk.subarray(0, readAt(memory, chunk, at, Math.min(CHUNK, end - at)));
        for (const [name, needle] of needles) if (bytes.includes(needle)) found.add(name);
      }
    }
  } finally {
    closeSync(memory);
  }
  return [...found];
}

function readableMappings(pid: number): { start: number; end: number }[] {
  const lines = readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n');
  return lines
    .filter((line) => /^\S+ r/.test(line) && !/\[v(var|syscall|var_vclock)\]/.test(line))
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
