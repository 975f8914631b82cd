import { createHash } from 'node:crypto';
import type { ShardReport } from '@keyfleet/shared/reseal-queue';

/**
 * Domain tokens as opaque bytes. Append-only: a generation is written once, by the first writer, and once more if
 * somebody put something else in its place.
 */
export interface TokenStore {
  /**
   * What stands in the places of the tokens after generation `after`, oldest first, at most `limit`; empty for what is
   * longer than any token. Throws DamagedValueError if something else stands in the place of them all.
   */
  loadTokens(after: number, limit: number): Promise<Buffer[]>;
  /** What stands in a token's place, as above; undefined if there is none. */
  findToken(generation: number): Promise<Buffer | undefined>;
  /**
   * Resolves once everything that was loaded is durable, whoever wrote it: a token that a failover may lose must not be
   * installed.
   */
  confirmTokens(): Promise<void>;
  /**
   * Durable once it resolves. False if another writer already stored this generation, or the previous one is missing.
   */
  appendToken(generation: number, token: Uint8Array): Promise<boolean>;
  /**
   * The same for a token that was stored before. False also if the store is not the one that had it: emptied, or
   * another one. The first one takes the place of whatever else stands in that of the tokens.
   */
  restoreToken(generation: number, token: Uint8Array): Promise<boolean>;
  /** The same in the place of `found`, which `findToken` found there. False also if it stands there no more. */
  replaceToken(generation: number, found: Uint8Array, token: Uint8Array): Promise<boolean>;
}

export interface Signature {
  readonly operatorId: string;
  readonly signature: Uint8Array;
}

const R_BYTES = 48;

/**
 * What tells it from the operator's others: the proposal and r. From a signature (r, s) anyone makes another, (r, -s),
 * which verifies too; for another r one needs the key. Whoever has that also makes one with the same r for another
 * proposal, which must not end by the date of the first.
 */
export function markOf(proposalId: string, { signature }: Signature): string {
  const r = Buffer.from(signature).subarray(0, R_BYTES);
  return createHash('sha256').update(proposalId, 'hex').update(r).digest('hex').slice(0, 32);
}

/** Until when a signature counts, in milliseconds since the epoch, and whether that is over by the store's clock. */
export interface SignatureDate {
  readonly until: number;
  readonly isOver: boolean;
}

export interface StoredProposal {
  /** SHA-256 of the command, hexadecimal. */
  readonly proposalId: string;
  /** The domain command's canonical bytes. */
  readonly command: Uint8Array;
  readonly signatures: readonly Signature[];
  /** Milliseconds since the epoch, when the store forgets it. */
  readonly expiresAt: number;
  /** Why every member refused it, with the signatures that it has. */
  readonly failure?: string;
  /** For a command that makes no token; for all others the chain of tokens shows whether they were carried out. */
  readonly done?: true;
}

export interface ProposalStore {
  /**
   * Durable once it resolves. Stores the proposal, or adds its signatures to the one with the same id, which then has
   * not failed yet, and has the earlier of both dates. False if `limit` others are stored.
   */
  putProposal(proposal: StoredProposal, limit: number): Promise<boolean>;
  /**
   * Durable once it resolves. The signature of this proposal counts until `until`, or the date that it was given first,
   * whoever brings it again: a signature has no date of its own. Returns the date that it has. Of each operator the
   * newest signatures are remembered, more than anyone makes between two domain tokens.
   */
  dateSignature(proposalId: string, signature: Signature, until: number): Promise<SignatureDate>;
  findProposal(proposalId: string): Promise<StoredProposal | undefined>;
  /** Oldest first. */
  listProposals(): Promise<StoredProposal[]>;
  /** Whatever stands under each, or nothing: all that count for the limit. */
  listProposalIds(): Promise<string[]>;
  dropProposal(proposalId: string): Promise<void>;
  /** Does nothing if the proposal is gone. */
  setFailure(proposalId: string, reason: string): Promise<void>;
  /** Does nothing if the proposal is gone. */
  setDone(proposalId: string): Promise<void>;
}

/** One lease, so that usually one replica leads. It only saves work: correctness never depends on it. */
export interface LeaseStore {
  /** Takes or renews the lease; false if another holder has it. */
  holdLease(holder: string, ttlMs: number): Promise<boolean>;
  releaseLease(holder: string): Promise<void>;
  findLeaseHolder(): Promise<string | undefined>;
}

/** The progress of resealing under one generation's domain key. */
export interface ResealProgress {
  readonly pass: number;
  readonly shards: number;
  /** When this pass began; milliseconds since the epoch. */
  readonly startedAt: number;
  /** The reports of shards that have finished this pass. */
  readonly reports: ReadonlyMap<number, ShardReport>;
  /** The number of parts of the key space taken in this pass; it grows while somebody works. */
  readonly parts: number;
  /** Over all passes. */
  readonly resealed: number;
  /** When a pass found nothing left; milliseconds since the epoch. */
  readonly verifiedAt?: number;
}

/** Frontends write the reports, under the keys of shared/reseal-queue.ts. */
export interface ResealStore {
  findReseal(generation: number): Promise<ResealProgress | undefined>;
  /** Begins the pass if it is the next one; otherwise another replica was faster, and nothing changes. */
  startPass(generation: number, pass: Pick<ResealProgress, 'pass' | 'shards' | 'startedAt'>): Promise<void>;
  setVerified(generation: number, at: number): Promise<void>;
}

/** How long tokens were served, as signed by domain-managers. If it is lost, they wait longer. */
export interface SightingStore {
  findSighting(generation: number): Promise<Buffer | undefined>;
  putSighting(generation: number, sighting: Uint8Array): Promise<void>;
}

export type DomainStore = TokenStore & ProposalStore & LeaseStore & ResealStore & SightingStore;
