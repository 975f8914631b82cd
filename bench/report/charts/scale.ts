/** From values to places on the paper. */
export interface Scale {
  readonly ticks: readonly number[];
  at(value: number): number;
}

/** Round numbers from 0 to at least the largest value. */
export function linearScale(largest: number, from: number, to: number): Scale {
  const step = roundStep((largest || 1) / 5);
  const top = Math.ceil((largest || 1) / step) * step;
  const ticks = Array.from({ length: Math.round(top / step) + 1 }, (_, index) => index * step);
  return { ticks, at: (value) => from + (value / top) * (to - from) };
}

/** Powers of ten, and of two where those would be less than three. */
export function logScale(smallest: number, largest: number, from: number, to: number): Scale {
  const base = largest / smallest > 200 ? 10 : 2;
  const log = (value: number) => Math.log(value) / Math.log(base);
  const low = Math.floor(log(smallest) + 1e-9);
  const high = Math.max(low + 1, Math.ceil(log(largest) - 1e-9));
  const ticks = Array.from({ length: high - low + 1 }, (_, index) => base ** (low + index));
  return { ticks, at: (value) => from + ((log(Math.max(value, base ** low)) - low) / (high - low)) * (to - from) };
}

/** 1, 2 or 5 times a power of ten. */
function roundStep(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].find((factor) => factor * power >= value)! * power;
}
