import { createHmac, createSecretKey, hkdfSync, type KeyObject, timingSafeEqual } from 'node:crypto';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import type { HsmCommands } from '../hsm/commands.ts';
import type { Scope } from '@keyfleet/shared/stored/names';
import type { FleetSecretStore } from '../store/store.ts';

const TAG_LENGTH = 16;
/** The fleet's marker key is sealed as a credential that nobody signs with (docs/decisions/0004). */
const SECRET = 'marker-key';
const SEALED_FOR = { accessKeyId: 'keyfleet-marker-key', principal: 'keyfleet:frontends' } as const;

/** A list, for one caller: a marker of another is not a marker of this one. */
export interface MarkerScope extends Scope {
  readonly operation: string;
  /** What else the list was narrowed to. */
  readonly filter?: string;
}

export interface MarkerDeps {
  readonly secrets: FleetSecretStore;
  readonly hsm: HsmCommands;
}

/** Pagination markers: where a list goes on, authenticated under a key that every frontend of the fleet has. */
export class Markers {
  readonly #deps: MarkerDeps;
  #key: Promise<KeyObject> | undefined;

  constructor(deps: MarkerDeps) {
    this.#deps = deps;
  }

  async seal(scope: MarkerScope, after: string, deadline: number): Promise<string> {
    const position = Buffer.from(after, 'utf8');
    return Buffer.concat([tagOf(await this.#loadKey(deadline), scope, position), position]).toString('base64url');
  }

  /** Throws InvalidMarkerException for anything but a marker of this very list. */
  async open(scope: MarkerScope, marker: string, deadline: number): Promise<string> {
    const bytes = Buffer.from(marker, 'base64url');
    const position = bytes.subarray(TAG_LENGTH);
    const tag = bytes.subarray(0, TAG_LENGTH);
    const expected = tagOf(await this.#loadKey(deadline), scope, position);
    if (tag.length !== TAG_LENGTH || !timingSafeEqual(tag, expected) || bytes.toString('base64url') !== marker) {
      throw invalidMarker();
    }
    return position.toString('utf8');
  }

  #loadKey(deadline: number): Promise<KeyObject> {
    this.#key ??= this.#openKey(deadline).catch((error: unknown) => {
      this.#key = undefined;
      throw error;
    });
    return this.#key;
  }

  async #openKey(deadline: number): Promise<KeyObject> {
    const { secrets, hsm } = this.#deps;
    const token = (await secrets.findSecret(SECRET)) ?? (await this.#makeToken(deadline));
    const { secretAccessKey } = await hsm.execute('OpenCredential', { ...SEALED_FOR, token }, deadline);
    return createSecretKey(Buffer.from(hkdfSync('sha256', secretAccessKey, '', 'keyfleet/marker/1', 32)));
  }

  async #makeToken(deadline: number): Promise<Uint8Array> {
    const { token } = await this.#deps.hsm.execute('GenerateCredential', SEALED_FOR, deadline);
    return this.#deps.secrets.insertSecret(SECRET, token);
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
