import type { ShardReport } from '@keyfleet/shared/reseal-queue';

/** Domain tokens as opaque bytes. Append-only: a generation is written once, by whoever comes first. */
export interface TokenStore {
  /** Tokens after generation `after`, oldest first, at most `limit`. */
  loadTokens(after: number, limit: number): Promise<Buffer[]>;
  /**
   * Resolves when everything that was loaded is durable, whoever wrote it: a token that a failover may lose must not be
   * installed.
   */
  confirmTokens(): Promise<void>;
  /**
   * Durable when it resolves. False when another writer already stored this generation, or the one before is missing.
   */
  appendToken(generation: number, token: Uint8Array): Promise<boolean>;
  /**
   * The same, for a token that was stored before. False also in a store that is not the one that had it: emptied, or
   * another one.
   */
  restoreToken(generation: number, token: Uint8Array): Promise<boolean>;
}

export interface Signature {
  readonly operatorId: string;
  readonly signature: Uint8Array;
}

export interface StoredProposal {
  /** SHA-256 of the command, hexadecimal. */
  readonly proposalId: string;
  /** The domain command's canonical bytes. */
  readonly command: Uint8Array;
  readonly signatures: readonly Signature[];
  /** Milliseconds since the epoch; the store forgets it then. */
  readonly expiresAt: number;
  /** Why every member refused it. */
  readonly failure?: string;
  /** Of a command that makes no token; of all others the chain of tokens says whether they were carried out. */
  readonly done?: true;
}

export interface ProposalStore {
  /**
   * Durable when it resolves. Stores it, or adds its signatures to the one with the same id. False when `limit` others
   * are stored.
   */
  putProposal(proposal: StoredProposal, limit: number): Promise<boolean>;
  findProposal(proposalId: string): Promise<StoredProposal | undefined>;
  /** Oldest first. */
  listProposals(): Promise<StoredProposal[]>;
  /** Nothing happens when the proposal is gone. */
  setFailure(proposalId: string, reason: string): Promise<void>;
  /** Nothing happens when the proposal is gone. */
  setDone(proposalId: string): Promise<void>;
}

/** One lease, so that usually one replica leads. It only saves work: correctness never depends on it. */
export interface LeaseStore {
  /** Takes or renews the lease; false when another holder has it. */
  holdLease(holder: string, ttlMs: number): Promise<boolean>;
  releaseLease(holder: string): Promise<void>;
  findLeaseHolder(): Promise<string | undefined>;
}

/** How far the resealing under one generation's domain key is. */
export interface ResealProgress {
  readonly pass: number;
  readonly shards: number;
  /** Of this pass; milliseconds since the epoch. */
  readonly startedAt: number;
  /** Of the shards that are done with this pass. */
  readonly reports: ReadonlyMap<number, ShardReport>;
  /** Parts of the key space that were taken in this pass: more and more while somebody works. */
  readonly parts: number;
  /** Over all passes. */
  readonly resealed: number;
  /** When a pass found nothing left; milliseconds since the epoch. */
  readonly verifiedAt?: number;
}

/** The reports are written by the frontends, under the keys of shared/reseal-queue.ts. */
export interface ResealStore {
  findReseal(generation: number): Promise<ResealProgress | undefined>;
  /** Begins the pass if it is the next one; otherwise another replica was faster, and nothing changes. */
  startPass(generation: number, pass: Pick<ResealProgress, 'pass' | 'shards' | 'startedAt'>): Promise<void>;
  setVerified(generation: number, at: number): Promise<void>;
}

/** For how long tokens were served, as domain-managers signed it. Lost, it makes them wait longer. */
export interface SightingStore {
  findSighting(generation: number): Promise<Buffer | undefined>;
  putSighting(generation: number, sighting: Uint8Array): Promise<void>;
}

export type DomainStore = TokenStore & ProposalStore & LeaseStore & ResealStore & SightingStore;
