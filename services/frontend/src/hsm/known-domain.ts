import { setTimeout as delay } from 'node:timers/promises';
import type { Member, VerifiedDomain } from '@keyfleet/shared/domain/state';

/** The domain as this frontend has verified it. */
export interface KnownDomain {
  /** Undefined while this frontend knows of no domain or knows that it is behind; no worker is used then. */
  readonly verified: VerifiedDomain | undefined;
  /**
   * Who may prove which domain token he has: the members of that state, and whom people have admitted since, in a token
   * that is not relied on yet. Otherwise whoever was alone could keep it from being so.
   */
  readonly provers: readonly Member[];
  /**
   * For how many milliseconds there has been a newer domain token that no member has proven to have; undefined if there
   * is none.
   */
  readonly unprovenMs: number | undefined;
  /**
   * One of `provers` proved which token is the newest that it has installed. Resolves to whether it
   * may be used. Rejects if the token cannot be written down.
   */
  noteProof(member: Member, proof: DomainProof): Promise<boolean>;
  /** Looks for newer tokens. Resolves when they have been heard, or when nobody had any. */
  hear(): Promise<void>;
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

/** A domain of which nothing more will be heard. */
export function asOfNow(verified: VerifiedDomain): KnownDomain {
  return {
    verified,
    provers: verified.state.members,
    unprovenMs: undefined,
    noteProof: async (_member, proof) => isProofOf(verified, proof),
    hear: async () => {},
  };
}

export function isProofOf({ state, hash }: VerifiedDomain, { generation, tokenHash }: DomainProof): boolean {
  return generation === state.generation && Buffer.compare(hash, tokenHash) === 0;
}

/**
 * Looks for the token that a member claims to have, if it is newer than ours. Anyone can make the claim, so this only
 * looks, and only briefly.
 */
export async function catchUp(domain: KnownDomain, { generation }: DomainProof): Promise<void> {
  if (generation > generationOf(domain))
    await Promise.race([domain.hear(), delay(CATCH_UP_MS, undefined, { ref: false })]);
}

/**
 * Every proof with a verified signature comes here. Throws `OtherDomainTokenError` unless the member has installed the
 * newest token that is relied on here, or one after it that is known: a party that is behind may not yet know who was
 * removed.
 */
export async function assertHasNewest(domain: KnownDomain, member: Member, proof: DomainProof): Promise<void> {
  if (await domain.noteProof(member, proof)) return;
  const { generation } = proof;
  const known = generationOf(domain);
  if (generation === known) {
    throw new OtherDomainTokenError(`forked: the worker has another domain token ${generation} than this frontend`);
  }
  const how = generation < known ? 'older than' : 'newer than any that is found here, which is';
  throw new OtherDomainTokenError(`the worker has domain token ${generation}, ${how} ${known}`);
}

function generationOf({ verified }: KnownDomain): number {
  return verified?.state.generation ?? 0;
}
