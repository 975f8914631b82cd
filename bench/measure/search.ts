import { Latencies } from '../histogram/latencies.ts';
import type { Round } from './results.ts';

const STEPS = 6;
/** Of what was offered, this much must be answered: else a queue grows, and its tail is only not seen yet. */
const ANSWERED = 0.98;

/**
 * Halves the interval below `peak` until the highest rate whose p99 is under `boundMs` is known to some percent; 0 if
 * none is.
 */
export async function searchHighestRate(
  peak: number,
  boundMs: number,
  measure: (perSecond: number) => Promise<Pick<Round, 'latencies' | 'requests' | 'seconds' | 'failures'>>,
): Promise<number> {
  let good = 0;
  let bad = peak;
  for (let step = 0; step < STEPS; step++) {
    const rate = Math.max(1, Math.round((good + bad) / 2));
    const { latencies, requests, seconds, failures } = await measure(rate);
    const p99 = Latencies.decode(latencies).quantile(0.99);
    const holds = p99 < boundMs && requests / seconds >= ANSWERED * rate && Object.keys(failures).length === 0;
    if (holds) good = rate;
    else bad = rate;
  }
  return good;
}
