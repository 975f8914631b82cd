/** Random choices that a seed repeats. */
export interface Seeded {
  /** 0 <= n < 1. */
  next(): number;
  /** min <= n <= max. */
  between(min: number, max: number): number;
  pick<T>(choices: readonly T[]): T;
}

/** The seed of a run: KEYFLEET_SEED, which repeats a run, or a new one. Printed, so that a failure can be repeated. */
export function seedOf(test: string): number {
  const seed = Number(process.env['KEYFLEET_SEED'] ?? Math.floor(Math.random() * 2 ** 32));
  process.stderr.write(`${test}: KEYFLEET_SEED=${seed}\n`);
  return seed;
}

/** Mulberry32 (Tommy Ettinger, public domain): small, and good enough to choose what to kill. */
export function newSeeded(seed: number): Seeded {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    next,
    between: (min, max) => min + Math.floor(next() * (max - min + 1)),
    pick: (choices) => choices[Math.floor(next() * choices.length)]!,
  };
}
