import type { Clock } from '@keyfleet/shared/clock';
import { reportField, type ResealItem, type ShardReport } from '@keyfleet/shared/reseal-queue';
import { progressOf } from './reseal-progress.ts';
import {
  type DomainStore,
  markOf,
  type ResealProgress,
  type Signature,
  type SignatureDate,
  type StoredProposal,
} from './store.ts';

/** The store's contract in memory, for tests. */
export class MemoryStore implements DomainStore {
  readonly #clock: Clock;
  readonly #tokens: Buffer[] = [];
  readonly #proposals = new Map<string, StoredProposal>();
  /** Until when a signature counts, by operator and mark. */
  readonly #signed = new Map<string, number>();
  readonly #reseals = new Map<
    number,
    {
      pass: number;
      shards: number;
      startedAt: number;
      reports: Map<string, ShardReport>;
      verifiedAt?: number;
      resealed: number;
    }
  >();
  readonly #sightings = new Map<number, Buffer>();
  #lease: { holder: string; expiresAt: number } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async loadTokens(after: number, limit: number): Promise<Buffer[]> {
    return this.#tokens.slice(after, after + limit);
  }

  async appendToken(generation: number, token: Uint8Array): Promise<boolean> {
    if (this.#tokens.length !== generation - 1) return false;
    this.#tokens.push(Buffer.from(token));
    return true;
  }

  async restoreToken(generation: number, token: Uint8Array): Promise<boolean> {
    return this.#tokens.length > 0 && this.appendToken(generation, token);
  }

  async findToken(generation: number): Promise<Buffer | undefined> {
    return this.#tokens[generation - 1];
  }

  async replaceToken(generation: number, found: Uint8Array, token: Uint8Array): Promise<boolean> {
    if (this.#tokens[generation - 1]?.equals(found) !== true) return false;
    this.#tokens[generation - 1] = Buffer.from(token);
    return true;
  }

  async confirmTokens(): Promise<void> {}

  async putProposal(proposal: StoredProposal, limit: number): Promise<boolean> {
    this.#forgetExpired();
    const stored = this.#proposals.get(proposal.proposalId);
    if (stored === undefined && this.#proposals.size >= limit) return false;
    const known = new Map(stored?.signatures.map((signature) => [signature.operatorId, signature]));
    const before = known.size;
    for (const signature of proposal.signatures) known.set(signature.operatorId, signature);
    const { failure, ...rest } = stored ?? proposal;
    const failed = failure !== undefined && known.size === before ? { failure } : {};
    const expiresAt = Math.min(rest.expiresAt, proposal.expiresAt);
    this.#proposals.set(proposal.proposalId, { ...rest, ...failed, expiresAt, signatures: [...known.values()] });
    return true;
  }

  async dateSignature(proposalId: string, signature: Signature, until: number): Promise<SignatureDate> {
    const name = `${signature.operatorId}/${markOf(proposalId, signature)}`;
    const date = this.#signed.getOrInsertComputed(name, () => until);
    return { until: date, isOver: date <= this.#clock.now() };
  }

  async findProposal(proposalId: string): Promise<StoredProposal | undefined> {
    this.#forgetExpired();
    return this.#proposals.get(proposalId);
  }

  async listProposals(): Promise<StoredProposal[]> {
    this.#forgetExpired();
    return [...this.#proposals.values()].toSorted((a, b) => a.expiresAt - b.expiresAt);
  }

  async listProposalIds(): Promise<string[]> {
    return (await this.listProposals()).map(({ proposalId }) => proposalId);
  }

  async dropProposal(proposalId: string): Promise<void> {
    this.#proposals.delete(proposalId);
  }

  async setFailure(proposalId: string, failure: string): Promise<void> {
    const stored = this.#proposals.get(proposalId);
    if (stored !== undefined) this.#proposals.set(proposalId, { ...stored, failure });
  }

  async setDone(proposalId: string): Promise<void> {
    const stored = this.#proposals.get(proposalId);
    if (stored !== undefined) this.#proposals.set(proposalId, { ...stored, done: true });
  }

  async holdLease(holder: string, ttlMs: number): Promise<boolean> {
    const now = this.#clock.now();
    if (this.#lease !== undefined && this.#lease.holder !== holder && this.#lease.expiresAt > now) return false;
    this.#lease = { holder, expiresAt: now + ttlMs };
    return true;
  }

  async releaseLease(holder: string): Promise<void> {
    if (this.#lease?.holder === holder) this.#lease = undefined;
  }

  async findLeaseHolder(): Promise<string | undefined> {
    return this.#lease !== undefined && this.#lease.expiresAt > this.#clock.now() ? this.#lease.holder : undefined;
  }

  async findReseal(generation: number): Promise<ResealProgress | undefined> {
    const stored = this.#reseals.get(generation);
    if (stored === undefined) return undefined;
    return progressOf(stored);
  }

  async startPass(generation: number, begun: Pick<ResealProgress, 'pass' | 'shards' | 'startedAt'>): Promise<void> {
    const stored = this.#reseals.get(generation);
    if ((stored?.pass ?? 0) === begun.pass - 1) {
      const { resealed } = stored === undefined ? { resealed: 0 } : progressOf(stored);
      this.#reseals.set(generation, { ...stored, ...begun, resealed, reports: new Map() });
    }
  }

  async setVerified(generation: number, at: number): Promise<void> {
    const stored = this.#reseals.get(generation);
    if (stored !== undefined) stored.verifiedAt = at;
  }

  async findSighting(generation: number): Promise<Buffer | undefined> {
    return this.#sightings.get(generation);
  }

  async putSighting(generation: number, sighting: Uint8Array): Promise<void> {
    this.#sightings.set(generation, Buffer.from(sighting));
  }

  /** Acts as a frontend. */
  async report(item: ResealItem, report: ShardReport): Promise<void> {
    this.#reseals.get(item.generation)?.reports.set(reportField(item), report);
  }

  #forgetExpired(): void {
    const now = this.#clock.now();
    for (const { proposalId, expiresAt } of this.#proposals.values()) {
      if (expiresAt <= now) this.#proposals.delete(proposalId);
    }
  }
}
