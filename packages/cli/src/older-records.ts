import { splitMac } from '@keyfleet/frontend/store/record-mac';
import type { FoundRecord } from './records.ts';

/**
 * Counts the records under record keys older than `from`. They prove nothing: those who left the domain may have such a
 * key, and whoever writes Redis can put its token back after it was dropped, and old copies of records.
 */
export class OlderRecords {
  readonly #from: number;
  /** By record key, with the name of one. */
  readonly #found = new Map<number, { count: number; readonly example: string }>();

  constructor(from: number) {
    this.#from = from;
  }

  /** Whether this is one of them. */
  has({ place, stored }: FoundRecord): boolean {
    const number = splitMac(stored)?.keyNumber;
    if (number === undefined || number >= this.#from) return false;
    const example = place.field === undefined ? place.name : `${place.name} ${place.field}`;
    this.#found.getOrInsertComputed(number, () => ({ count: 0, example })).count++;
    return true;
  }

  /** One for each record key. */
  problems(): string[] {
    return [...this.#found].map(
      ([number, { count, example }]) =>
        `${count} under record key ${number}, such as ${example}, and the newest was ${this.#from}: if a rotate-record-key that made record key ` +
        `${number + 1} was interrupted, give --interrupted ${number + 1}. Otherwise somebody put them there: restore or delete them`,
    );
  }
}
