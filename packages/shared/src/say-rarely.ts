import { type Clock, monotonicClock } from './clock.ts';

const REST_MS = 60_000;
/** A line may have some kilobytes: less than a hundred megabytes a day. */
const MOST_TEXTS = 20;

interface Said {
  readonly at: number;
  readonly texts: Set<string>;
  omitted: number;
}

/**
 * At most a line a minute about each subject, for what others may cause as often as they like, in words of their
 * choice: it would otherwise fill the log, and end what the log said before.
 */
export class SayRarely {
  readonly #clock: Clock;
  readonly #said = new Map<string, Said>();

  constructor(clock: Clock = monotonicClock) {
    this.#clock = clock;
  }

  /**
   * `omitted`: how many lines about `subject` were left out since the last one. `text`: another one has a line of its
   * own, twenty of them a minute.
   */
  say(subject: string, write: (omitted: number) => void, text = ''): void {
    const [last, now] = [this.#said.get(subject), this.#clock.now()];
    const isOver = last === undefined || now - last.at >= REST_MS;
    const said: Said = isOver ? { at: now, texts: new Set(), omitted: last?.omitted ?? 0 } : last;
    this.#said.set(subject, said);
    if (said.texts.has(text) || said.texts.size >= MOST_TEXTS) {
      said.omitted++;
      return;
    }
    said.texts.add(text);
    write(said.omitted);
    said.omitted = 0;
  }
}
