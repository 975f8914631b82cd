import { DamagedRecordError } from './store.ts';

/** Of each kind: about 20 MB. */
const MAX_KNOWN = 100_000;
/** Marks a removed record: no revision of it is believed again. */
const GONE = Number.MAX_SAFE_INTEGER;

interface Known {
  readonly revision: number;
  /** How many were noted before this one. */
  readonly order: number;
  /** The record key that it was announced under, if it was heard. */
  readonly keyNumber?: number | undefined;
}

/**
 * The record revisions that any frontend has acknowledged recently, while this one ran. An older revision in the store
 * means that the store lost a write or that somebody put the old one back. An id is never reused, but for that of a
 * multi-Region key, whose revisions go on. Every acknowledgement is announced to the other frontends; no request waits
 * for that. What this frontend acknowledged itself is kept apart: nothing that it hears takes its place.
 */
export class Acknowledged {
  readonly #announce: (id: string, revision: number) => void;
  readonly #own = new Map<string, Known>();
  readonly #heard = new Map<string, Known>();
  #order = 0;
  #oldestKey = 1;

  constructor(announce: (id: string, revision: number) => void = () => {}) {
    this.#announce = announce;
  }

  written(id: string, revision: number): void {
    this.#note(this.#own, id, revision);
    this.#announce(id, revision);
  }

  removed(id: string): void {
    this.written(id, GONE);
  }

  /** Another frontend acknowledged it, and announced it under this record key. */
  heard(id: string, revision: number, keyNumber: number): void {
    const own = this.#own.get(id);
    const isNews = own === undefined || own.revision < revision;
    if (isNews && keyNumber >= this.#oldestKey) this.#note(this.#heard, id, revision, keyNumber);
  }

  /**
   * Record keys older than this one are dropped. Whoever left may have announced anything under them; and no record
   * under them is believed any more, so that nothing is lost with what others announced.
   */
  droppedKeysBefore(oldest: number): void {
    this.#oldestKey = oldest;
    for (const [id, { keyNumber = oldest }] of this.#heard) if (keyNumber < oldest) this.#heard.delete(id);
  }

  /**
   * Call before a record is read. The returned function throws DamagedRecordError for a revision older than one
   * acknowledged before this call. What is acknowledged during the read may come before or after it.
   */
  beginRead(): (id: string, revision: number) => void {
    const order = this.#order;
    return (id, revision) => {
      for (const known of this.#knownOf(id))
        if (known.order < order && revision < known.revision) throw tooOld(id, revision, known);
    };
  }

  /** For records whose revision is a time: `at`, or later if a frontend whose clock is ahead acknowledged more. */
  next(id: string, at: number): number {
    return Math.max(at, ...this.#knownOf(id).map((known) => known.revision + 1));
  }

  /** Operators have confirmed that an older store is to be used. */
  forget(): void {
    this.#own.clear();
    this.#heard.clear();
    this.#oldestKey = 1;
  }

  #knownOf(id: string): Known[] {
    return [this.#own.get(id), this.#heard.get(id)].filter((known) => known !== undefined);
  }

  #note(kind: Map<string, Known>, id: string, revision: number, keyNumber?: number): void {
    const known = kind.get(id);
    if (known !== undefined && known.revision >= revision) return;
    kind.delete(id);
    if (kind.size >= MAX_KNOWN) kind.delete(kind.keys().next().value!);
    kind.set(id, { revision, order: this.#order++, keyNumber });
  }
}

function tooOld(id: string, revision: number, known: Known): DamagedRecordError {
  const acknowledged =
    known.revision === GONE ? 'its removal was acknowledged' : `revision ${known.revision} was acknowledged`;
  return new DamagedRecordError(
    `the record of ${id} is at revision ${revision}, and ${acknowledged}: the store lost writes, or somebody put an old record back (docs/recovery.md)`,
  );
}
