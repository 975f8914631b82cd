import { Latencies } from '../histogram/latencies.ts';
import type { Round } from './results.ts';

export interface AroundEvent {
  /** Requests that began well before it: nothing that they needed had happened yet. */
  readonly before: Latencies;
  /** Those that it met, and all later ones. */
  readonly from: Latencies;
}

/** What an event of the round did to latency: the slice before it counts as met, for what was under way. */
export function aroundEvent({ slices, seconds, marks }: Pick<Round, 'slices' | 'seconds' | 'marks'>): AroundEvent {
  const at = (marks[0]?.at ?? Infinity) / (seconds * 1000);
  const met = Math.max(0, Math.floor(at * slices.length) - 1);
  const latenciesOf = (part: typeof slices) =>
    Latencies.merged(
      part.map(({ latencies }) => Latencies.decode(latencies)),
      2,
    );
  return { before: latenciesOf(slices.slice(0, met)), from: latenciesOf(slices.slice(met)) };
}
