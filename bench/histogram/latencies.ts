import { build, decodeFromCompressedBase64, encodeIntoCompressedBase64, type Histogram } from 'hdr-histogram-js';

const MICROSECONDS = 1000;
const LONGEST_US = 600_000_000;

/** Latencies in milliseconds, kept as microseconds in an HDR histogram, up to ten minutes. */
export class Latencies {
  readonly #histogram: Histogram;

  private constructor(histogram: Histogram) {
    this.#histogram = histogram;
  }

  /** `digits`: significant ones of each value; 3 cost some 100 KB, 2 a tenth. */
  static empty(digits: 2 | 3 = 3): Latencies {
    const options = { lowestDiscernibleValue: 1, highestTrackableValue: LONGEST_US, bitBucketSize: 32 } as const;
    return new Latencies(build({ ...options, numberOfSignificantValueDigits: digits }));
  }

  static merged(parts: readonly Latencies[], digits: 2 | 3 = 3): Latencies {
    const whole = Latencies.empty(digits);
    for (const part of parts) whole.#histogram.add(part.#histogram);
    return whole;
  }

  /** What `encode` gave. */
  static decode(text: string): Latencies {
    return new Latencies(decodeFromCompressedBase64(text, 32, false));
  }

  get count(): number {
    return this.#histogram.totalCount;
  }

  get mean(): number {
    return this.#histogram.mean / MICROSECONDS;
  }

  get longest(): number {
    return this.count === 0 ? Number.NaN : this.#histogram.maxValue / MICROSECONDS;
  }

  record(ms: number): void {
    this.#histogram.recordValue(Math.min(LONGEST_US, Math.max(1, Math.round(ms * MICROSECONDS))));
  }

  /** The latency that `part` (0 to 1) of all do not exceed. */
  quantile(part: number): number {
    return this.count === 0 ? Number.NaN : this.#histogram.getValueAtPercentile(part * 100) / MICROSECONDS;
  }

  encode(): string {
    return encodeIntoCompressedBase64(this.#histogram);
  }
}
