import { setTimeout as delay } from 'node:timers/promises';
import type { Member, VerifiedDomain } from '@keyfleet/shared/domain/state';

/** The domain as this frontend has verified it. */
export interface KnownDomain {
  /** Undefined while this frontend knows of no domain or knows that it is behind; no worker is used then. */
  readonly verified: VerifiedDomain | undefined;
  /** A member of the newest known state proved that the newest token it has is not the newest known here. */
  noteOther(member: Member, proof: DomainProof): void;
  /** Looks for newer tokens. Resolves when they have been taken, or when no domain-manager had any. */
  refresh(): Promise<void>;
}

/** The newest domain token that a member says it has installed. */
export interface DomainProof {
  readonly generation: number;
  readonly tokenHash: Uint8Array;
}

/** The member and this frontend have different domain tokens; the member is not used until they agree. */
export class OtherDomainTokenError extends Error {
  override name = 'OtherDomainTokenError';
}

const CATCH_UP_MS = 1000;

/**
 * Looks for the token that a member claims to have, if it is newer than ours. Anyone can make the claim, so this only
 * looks, and only briefly.
 */
export async function catchUp(domain: KnownDomain, { generation }: DomainProof): Promise<void> {
  if (generation > generationOf(domain))
    await Promise.race([domain.refresh(), delay(CATCH_UP_MS, undefined, { ref: false })]);
}

/**
 * Every proof with a verified signature comes here. Throws `OtherDomainTokenError` unless the member has installed
 * exactly the newest token known here: a party that is behind may not yet know who was removed.
 */
export function assertHasNewest(domain: KnownDomain, member: Member, proof: DomainProof): void {
  const { generation, tokenHash } = proof;
  const known = generationOf(domain);
  if (generation === known && Buffer.compare(domain.verified!.hash, tokenHash) === 0) return;
  domain.noteOther(member, proof);
  if (generation === known) {
    throw new OtherDomainTokenError(`forked: the worker has another domain token ${generation} than this frontend`);
  }
  const how = generation < known ? 'older than' : 'newer than any that is found here, which is';
  throw new OtherDomainTokenError(`the worker has domain token ${generation}, ${how} ${known}`);
}

function generationOf({ verified }: KnownDomain): number {
  return verified?.state.generation ?? 0;
}
