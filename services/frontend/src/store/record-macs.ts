import type { DamagedValueError } from '@keyfleet/shared/redis/stored-values';
import {
  type AuthenticRecord,
  isMacOf,
  joinMac,
  notAuthentic,
  recordMac,
  type RecordPlace,
  splitMac,
} from './record-mac.ts';
import type { RecordKeys } from './record-keys.ts';
import { DamagedRecordError } from './store.ts';

/**
 * Authenticates records: proves that a frontend, and nobody else, wrote this text to this very place in Redis. Every
 * record is verified when it is read, before any of it is believed or cached.
 */
export class RecordMacs {
  readonly #keys: RecordKeys;

  constructor(keys: RecordKeys) {
    this.#keys = keys;
  }

  /** `record`: a JSON object with at least one member. Returns what to store. */
  async withMac(place: RecordPlace, record: string): Promise<AuthenticRecord> {
    const { number: keyNumber, key } = await this.#keys.newest();
    return { text: joinMac({ record, keyNumber, mac: recordMac(key, place, record) }), keyNumber };
  }

  /**
   * Throws DamagedRecordError unless `stored` is what a frontend wrote there, as what could not even be read is not.
   * Returns the record.
   */
  async verified(place: RecordPlace, stored: string | DamagedValueError): Promise<string> {
    if (typeof stored !== 'string') throw new DamagedRecordError(stored.message, { cause: stored });
    const found = splitMac(stored);
    if (found === undefined) throw notAuthentic(place, 'it has no MAC');
    const key = await this.#keys.find(found.keyNumber);
    if (key === undefined)
      throw notAuthentic(place, `its MAC is under record key ${found.keyNumber}, which does not exist`);
    if (!isMacOf(key, place, found)) throw notAuthentic(place, 'its MAC does not match its content');
    return found.record;
  }
}
