import { type Clock, monotonicClock } from './clock.ts';

const REST_MS = 60_000;

/**
 * At most a line a minute about each subject, for what others may cause as often as they like, in words of their
 * choice: it would otherwise fill the log, and end what the log said before.
 */
export class SayRarely {
  readonly #clock: Clock;
  readonly #said = new Map<string, { readonly at: number; omitted: number }>();

  constructor(clock: Clock = monotonicClock) {
    this.#clock = clock;
  }

  /** `omitted`: how many lines about `subject` were left out since the last one. */
  say(subject: string, write: (omitted: number) => void): void {
    const [last, now] = [this.#said.get(subject), this.#clock.now()];
    if (last !== undefined && now - last.at < REST_MS) {
      last.omitted++;
      return;
    }
    this.#said.set(subject, { at: now, omitted: 0 });
    write(last?.omitted ?? 0);
  }
}
