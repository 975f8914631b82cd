import { createHmac, type KeyObject, timingSafeEqual } from 'node:crypto';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import type { Scope } from '@keyfleet/shared/stored/names';
import { FleetKey, type FleetKeyDeps } from '../store/fleet-key.ts';

const TAG_LENGTH = 16;
const MARKER_KEY = { name: 'marker-key', info: 'keyfleet/marker/1' } as const;

/** A list, for one caller: a marker of another is not a marker of this one. */
export interface MarkerScope extends Scope {
  readonly operation: string;
  /** What else the list was narrowed to. */
  readonly filter?: string;
}

/** Pagination markers: where a list goes on, authenticated under a key that every frontend of the fleet has. */
export class Markers {
  readonly #key: FleetKey;

  constructor(deps: FleetKeyDeps) {
    this.#key = new FleetKey(MARKER_KEY, deps);
  }

  async seal(scope: MarkerScope, after: string, deadline: number): Promise<string> {
    const position = Buffer.from(after, 'utf8');
    return Buffer.concat([tagOf(await this.#key.load(deadline), scope, position), position]).toString('base64url');
  }

  /** Throws InvalidMarkerException for anything but a marker of this very list. */
  async open(scope: MarkerScope, marker: string, deadline: number): Promise<string> {
    const bytes = Buffer.from(marker, 'base64url');
    const position = bytes.subarray(TAG_LENGTH);
    const tag = bytes.subarray(0, TAG_LENGTH);
    const expected = tagOf(await this.#key.load(deadline), scope, position);
    if (tag.length !== TAG_LENGTH || !timingSafeEqual(tag, expected) || bytes.toString('base64url') !== marker) {
      throw invalidMarker();
    }
    return position.toString('utf8');
  }
}

export function invalidMarker(): KmsException {
  return new KmsException('InvalidMarkerException', 'The marker is not valid.');
}

function tagOf(key: KeyObject, scope: MarkerScope, position: Uint8Array): Buffer {
  const { operation, accountId, region, filter } = scope;
  // JSON separates the parts: no two lists share a text.
  return createHmac('sha256', key)
    .update(JSON.stringify([operation, accountId, region, filter ?? null]))
    .update(position)
    .digest()
    .subarray(0, TAG_LENGTH);
}
