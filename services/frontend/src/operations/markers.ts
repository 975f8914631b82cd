import { createHmac, type KeyObject, timingSafeEqual } from 'node:crypto';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import type { Scope } from '@keyfleet/shared/stored/names';
import type { Fleet, FleetKeys } from '../store/fleet-keys.ts';

const ID_LENGTH = 16;
const TAG_LENGTH = 16;
/**
 * A forged marker only chooses where its own caller's list continues, and that caller may see the list from the
 * beginning.
 */
const MARKER_KEY = { name: 'marker-key', info: 'keyfleet/marker/2', outlivesRemovals: true } as const;

/** A list for one caller: another caller's marker is not valid for it. */
export interface MarkerScope extends Scope {
  readonly operation: string;
  /** Any other filter on the list. */
  readonly filter?: string;
}

/** Pagination markers: where a list continues, authenticated under a key that every frontend of the fleet has. */
export class Markers {
  readonly #keys: FleetKeys;

  constructor(fleet: Fleet) {
    this.#keys = fleet.keys(MARKER_KEY);
  }

  async seal(scope: MarkerScope, after: string, deadline: number): Promise<string> {
    const position = Buffer.from(after, 'utf8');
    const { domainKeyId, key } = await this.#keys.newest(deadline);
    const id = Buffer.from(domainKeyId, 'hex');
    return Buffer.concat([id, tagOf(key, scope, position), position]).toString('base64url');
  }

  /** Throws InvalidMarkerException for anything but a marker of this very list. */
  async open(scope: MarkerScope, marker: string, deadline: number): Promise<string> {
    const bytes = Buffer.from(marker, 'base64url');
    if (bytes.length < ID_LENGTH + TAG_LENGTH || bytes.toString('base64url') !== marker) throw invalidMarker();
    const tag = bytes.subarray(ID_LENGTH, ID_LENGTH + TAG_LENGTH);
    const position = bytes.subarray(ID_LENGTH + TAG_LENGTH);
    const key = await this.#keys.find(bytes.toString('hex', 0, ID_LENGTH), deadline);
    if (key === undefined || !timingSafeEqual(tag, tagOf(key, scope, position))) throw invalidMarker();
    return position.toString('utf8');
  }
}

export function invalidMarker(): KmsException {
  return new KmsException('InvalidMarkerException', 'The marker is not valid.');
}

function tagOf(key: KeyObject, scope: MarkerScope, position: Uint8Array): Buffer {
  const { operation, accountId, region, filter } = scope;
  // JSON separates the parts, so that no two lists have the same text.
  return createHmac('sha256', key)
    .update(JSON.stringify([operation, accountId, region, filter ?? null]))
    .update(position)
    .digest()
    .subarray(0, TAG_LENGTH);
}
