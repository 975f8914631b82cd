import { type KeyObject, randomBytes } from 'node:crypto';
import { CannotOpenError, open, seal, type SealingKey, tagLength } from '@keyfleet/shared/encoding/aead';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import type { Scope } from '@keyfleet/shared/stored/names';
import type { Fleet } from '../store/fleet.ts';
import { type FleetKeys, sealingKeyOf } from '../store/fleet-keys.ts';

const ID_LENGTH = 16;
const SALT_LENGTH = 16;
/**
 * A forged marker only chooses where its own caller's list continues, and that caller may see the list from the
 * beginning.
 */
const MARKER_KEY = { name: 'marker-key', info: 'keyfleet/marker/3', outlivesRemovals: true } as const;
const SEALING_INFO = 'keyfleet/marker-sealing-key/1';

/** A list for one caller: another caller's marker is not valid for it. */
export interface MarkerScope extends Scope {
  readonly operation: string;
  /** Any other filter on the list. */
  readonly filter?: string;
}

/**
 * Pagination markers: where a list continues, sealed under a key that every frontend of the fleet has. A position can
 * be an entry that the caller was not shown, because it is somebody else's.
 */
export class Markers {
  readonly #keys: FleetKeys;

  constructor(fleet: Fleet) {
    this.#keys = fleet.keys(MARKER_KEY);
  }

  async seal(scope: MarkerScope, after: string, deadline: number): Promise<string> {
    const { domainKeyId, key } = await this.#keys.newest(deadline);
    const salt = randomBytes(SALT_LENGTH);
    const sealed = seal(sealingKey(key, salt, scope), Buffer.from(after, 'utf8'));
    return Buffer.concat([Buffer.from(domainKeyId, 'hex'), salt, ...sealed]).toString('base64url');
  }

  /** Throws InvalidMarkerException for anything but a marker of this very list. */
  async open(scope: MarkerScope, marker: string, deadline: number): Promise<string> {
    const bytes = Buffer.from(marker, 'base64url');
    const isMarker = bytes.length >= ID_LENGTH + SALT_LENGTH + tagLength && bytes.toString('base64url') === marker;
    if (!isMarker) throw invalidMarker();
    const key = await this.#keys.find(bytes.toString('hex', 0, ID_LENGTH), deadline);
    if (key === undefined) throw invalidMarker();
    const salt = bytes.subarray(ID_LENGTH, ID_LENGTH + SALT_LENGTH);
    const [ciphertext, tag] = [bytes.subarray(ID_LENGTH + SALT_LENGTH, -tagLength), bytes.subarray(-tagLength)];
    try {
      return open(sealingKey(key, salt, scope), { ciphertext, tag }).toString('utf8');
    } catch (error) {
      throw error instanceof CannotOpenError ? invalidMarker() : error;
    }
  }
}

function invalidMarker(): KmsException {
  return new KmsException('InvalidMarkerException', 'The marker is not valid.');
}

function sealingKey(key: KeyObject, salt: Uint8Array, scope: MarkerScope): SealingKey {
  const { operation, accountId, region, filter } = scope;
  // JSON separates the parts, so that no two lists have the same text.
  const list = JSON.stringify([operation, accountId, region, filter ?? null]);
  return { ...sealingKeyOf(key, salt, SEALING_INFO), associatedData: Buffer.from(list) };
}
