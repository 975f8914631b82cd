import type { Choice } from './job.ts';

/** Draws from 0 to 1, 1 excluded. */
export type Random = () => number;

/** Which of `count` things comes next. */
export function chooser(choice: Choice, count: number, random: Random): () => number {
  switch (choice.kind) {
    case 'turn': {
      let next = 0;
      return () => next++ % count;
    }
    case 'uniform':
      return () => Math.floor(random() * count);
    case 'zipf':
      return weightedChooser(zipfWeights(count, choice.exponent), random);
  }
}

/** Zipf's law: the k-th most used thing is used 1/k^exponent as often as the first. */
export function zipfWeights(count: number, exponent: number): Float64Array {
  return Float64Array.from({ length: count }, (_, index) => 1 / (index + 1) ** exponent);
}

/** Draws indices as often as their weights say. */
export function weightedChooser(weights: ArrayLike<number>, random: Random): () => number {
  const upTo = Float64Array.from(weights);
  for (let index = 1; index < upTo.length; index++) upTo[index]! += upTo[index - 1]!;
  const total = upTo.at(-1) ?? 0;
  return () => firstAbove(upTo, random() * total);
}

function firstAbove(upTo: Float64Array, value: number): number {
  let low = 0;
  let high = upTo.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (upTo[middle]! > value) high = middle;
    else low = middle + 1;
  }
  return low;
}
