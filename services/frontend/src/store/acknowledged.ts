import { acknowledgedChange, type ChangeListener, readAcknowledgedChange } from './change-feed.ts';
import { DamagedRecordError } from './store.ts';

/** About 20 MB. */
const MAX_KNOWN = 100_000;
/** Marks a removed record: no revision of it is believed again. */
const GONE = Number.MAX_SAFE_INTEGER;

interface Known {
  readonly revision: number;
  /** How many were noted before this one. */
  readonly order: number;
}

/**
 * The record revisions that any frontend has acknowledged recently, while this one ran. An older revision in the store
 * means that the store lost a write or that somebody put the old one back. Ids are never reused. Every acknowledgement
 * is announced to the other frontends; no request waits for that.
 */
export class Acknowledged implements ChangeListener {
  readonly #announce: (change: string) => void;
  readonly #known = new Map<string, Known>();
  #order = 0;

  constructor(announce: (change: string) => void = () => {}) {
    this.#announce = announce;
  }

  written(id: string, revision: number): void {
    this.#note(id, revision);
    this.#announce(acknowledgedChange(id, revision));
  }

  removed(id: string): void {
    this.written(id, GONE);
  }

  changed(change: string): void {
    const acknowledged = readAcknowledgedChange(change);
    if (acknowledged !== undefined) this.#note(acknowledged.id, acknowledged.revision);
  }

  /**
   * Call before a record is read. The returned function throws DamagedRecordError for a revision older than one
   * acknowledged before this call. What is acknowledged during the read may come before or after it.
   */
  beginRead(): (id: string, revision: number) => void {
    const order = this.#order;
    return (id, revision) => {
      const known = this.#known.get(id);
      if (known !== undefined && known.order < order && revision < known.revision) throw tooOld(id, revision, known);
    };
  }

  /** For records whose revision is a time: `at`, or later if a frontend whose clock is ahead acknowledged more. */
  next(id: string, at: number): number {
    const known = this.#known.get(id);
    return known === undefined ? at : Math.max(at, known.revision + 1);
  }

  /** Operators have confirmed that an older store is to be used. */
  forget(): void {
    this.#known.clear();
  }

  #note(id: string, revision: number): void {
    const known = this.#known.get(id);
    if (known !== undefined && known.revision >= revision) return;
    this.#known.delete(id);
    if (this.#known.size >= MAX_KNOWN) this.#known.delete(this.#known.keys().next().value!);
    this.#known.set(id, { revision, order: this.#order++ });
  }
}

function tooOld(id: string, revision: number, known: Known): DamagedRecordError {
  const acknowledged =
    known.revision === GONE ? 'its removal was acknowledged' : `revision ${known.revision} was acknowledged`;
  return new DamagedRecordError(
    `the record of ${id} is at revision ${revision}, and ${acknowledged}: the store lost writes, or somebody put an old record back (docs/recovery.md)`,
  );
}
