import { z } from 'zod';
import { bytes, defineFormat } from '@keyfleet/shared/encoding/canonical';
import { decodeOrRefuse } from '@keyfleet/shared/domain/signature';
import { entityId } from '@keyfleet/shared/domain/state';
import { Hsm, type HsmOptions } from './hsm.ts';
import { passphraseSealKey, saltLength } from './seal-key.ts';

/** The identity of an offline member: an ordinary sealed identity under scrypt of a passphrase. */
const OfflineMemberFile = defineFormat(
  'keyfleet/offline-member/1',
  z.object({ memberId: entityId, salt: bytes({ min: saltLength, max: saltLength }), sealedIdentity: bytes() }),
);

/** A member whose identity is kept in a safe. It acts when a fleet must be re-admitted, and is then an ordinary HSM. */
export interface OfflineMember {
  readonly hsm: Hsm;
  /** The bytes to store in the safe. Write them again after the HSM installs a token. */
  file(): Buffer;
}

/** Without a seal key: the passphrase takes its place. */
export type OfflineMemberOptions = Pick<HsmOptions, 'anchor' | 'clock' | 'random'> & { readonly passphrase: string };

/** A new identity, which operators must admit like any other. Takes about half a second. */
export function newOfflineMember(memberId: string, options: OfflineMemberOptions): OfflineMember {
  return offlineMember({ memberId, salt: options.random(saltLength) }, options);
}

/** The salt of a file's passphrase: public, and different for every new member. Throws `DomainError('malformed')`. */
export function offlineMemberSalt(file: Uint8Array): Uint8Array {
  return decodeOrRefuse(OfflineMemberFile, file).salt;
}

/** Throws `DomainError`: `malformed`, or `cannot-open` for another passphrase. */
export function openOfflineMember(file: Uint8Array, options: OfflineMemberOptions): OfflineMember {
  return offlineMember(decodeOrRefuse(OfflineMemberFile, file), options);
}

interface Stored {
  readonly memberId: string;
  readonly salt: Uint8Array;
  readonly sealedIdentity?: Uint8Array;
}

function offlineMember({ memberId, salt, sealedIdentity }: Stored, options: OfflineMemberOptions): OfflineMember {
  const { passphrase, anchor, clock, random } = options;
  const sealKey = passphraseSealKey(passphrase, salt, random);
  const hsm = new Hsm({ memberId, anchor, clock, random, sealKey, ...(sealedIdentity && { sealedIdentity }) });
  return {
    hsm,
    file: () => OfflineMemberFile.encode({ memberId, salt, sealedIdentity: hsm.sealedIdentity() }),
  };
}
