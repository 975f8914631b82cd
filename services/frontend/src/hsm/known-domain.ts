import { setTimeout as delay } from 'node:timers/promises';
import type { Member, VerifiedDomain } from '@keyfleet/shared/domain/state';

/** The domain as this frontend has verified it. */
export interface KnownDomain {
  /** Undefined while this frontend knows of no domain, or knows that it is behind: then no worker is used. */
  readonly verified: VerifiedDomain | undefined;
  /** A member of the newest state known here proved to have a newer token. */
  noteNewer(member: Member, generation: number): void;
  /** Looks for newer tokens; resolves when they were taken, or when no domain-manager had any. */
  refresh(): Promise<void>;
}

/** The newest domain token that a member says it has installed. */
export interface DomainProof {
  readonly generation: number;
  readonly tokenHash: Uint8Array;
}

/** The member and this frontend do not have the same domain token: it is not used while that is so. */
export class OtherDomainTokenError extends Error {
  override name = 'OtherDomainTokenError';
}

const CATCH_UP_MS = 1000;

/**
 * Looks for the token that a member says it has, if it is newer than ours. Anyone may say so: this only looks, and not
 * for long.
 */
export async function catchUp(domain: KnownDomain, { generation }: DomainProof): Promise<void> {
  if (generation > generationOf(domain))
    await Promise.race([domain.refresh(), delay(CATCH_UP_MS, undefined, { ref: false })]);
}

/**
 * Every proof whose signature verified comes here. Throws `OtherDomainTokenError` unless the member has installed the
 * very token that is the newest one known here: whoever is behind may not know yet who was removed.
 */
export function assertHasNewest(domain: KnownDomain, member: Member, { generation, tokenHash }: DomainProof): void {
  const known = generationOf(domain);
  if (generation > known) domain.noteNewer(member, generation);
  if (generation !== known) {
    const how = generation < known ? 'older than' : 'newer than any that is found here, which is';
    throw new OtherDomainTokenError(`the worker has domain token ${generation}, ${how} ${known}`);
  }
  if (Buffer.compare(domain.verified!.hash, tokenHash) !== 0) {
    throw new OtherDomainTokenError(`forked: the worker has another domain token ${generation} than this frontend`);
  }
}

function generationOf({ verified }: KnownDomain): number {
  return verified?.state.generation ?? 0;
}
