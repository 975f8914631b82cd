import { hash } from 'node:crypto';
import type { Member } from './state.ts';

/** What two people compare aloud to know that they mean the same key: the first 16 bytes of its SHA-256, in groups. */
export function fingerprintOf(...keys: readonly Uint8Array[]): string {
  const digest = hash('sha256', Buffer.concat(keys), 'hex');
  return digest.slice(0, 32).match(/.{4}/g)!.join(' ');
}

/**
 * Covers all keys of a member, in the order of its state, and that it is offline: a worker that passed for that would
 * be asked to witness nothing.
 */
export function memberFingerprint({ signingKey, agreementKey, encapsulationKey, offline }: Member): string {
  const kept = offline === true ? [Buffer.from('offline')] : [];
  return fingerprintOf(
    signingKey,
    agreementKey,
    ...(encapsulationKey === undefined ? [] : [encapsulationKey]),
    ...kept,
  );
}
