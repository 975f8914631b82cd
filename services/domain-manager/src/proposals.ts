import { DomainError } from '@keyfleet/shared/domain/domain-error';
import { parseDomainChange, type Proposal, proposalId } from '@keyfleet/shared/domain/proposal';
import { type Decided, decidedBy } from './decided.ts';
import { hasRoom, makeRoom, PLACES } from './proposal-room.ts';
import { type ProposalStanding, ProposalVerifier, type ProposalVerifierDeps } from './proposal-verifier.ts';
import type { ProposalStore, Signature, StoredProposal } from './store/store.ts';

/** Operators are people: they get a week to sign. */
const EXPIRES_AFTER_MS = 7 * 24 * 3_600_000;

/** Why a proposal or a signature was refused. */
export class ProposalRefusedError extends Error {
  override name = 'ProposalRefusedError';
  readonly reason: 'invalid' | 'not-found' | 'full';

  constructor(reason: ProposalRefusedError['reason'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

export interface ProposalsDeps extends ProposalVerifierDeps {
  readonly store: ProposalStore;
}

/** Collects operators' signatures, and says how far each proposal is. */
export class Proposals {
  readonly #deps: ProposalsDeps;
  readonly #verifier: ProposalVerifier;
  #proposing: Promise<unknown> = Promise.resolve();
  #reading: Promise<unknown> = Promise.resolve();
  /** What begins when `#reading` ends, for everyone who came meanwhile. */
  #next: Promise<readonly StoredProposal[]> | undefined;

  constructor(deps: ProposalsDeps) {
    this.#deps = deps;
    this.#verifier = new ProposalVerifier(deps);
  }

  /**
   * Throws ProposalRefusedError unless the change is possible now and at least one operator signed it. Signatures that
   * do not verify are refused.
   */
  propose(bytes: Uint8Array): Promise<StoredProposal> {
    // One at a time, so that concurrent proposals cannot all find the same room.
    const proposed = this.#proposing.then(() => this.#propose(bytes));
    this.#proposing = proposed.catch(() => {});
    return proposed;
  }

  async #propose(bytes: Uint8Array): Promise<StoredProposal> {
    const proposal = orRefuse(() => this.#verifier.checked(bytes));
    const { command, signatures } = proposal;
    const id = proposalId(proposal);
    const latest = this.#expiryOf(await this.#deps.store.findProposal(id));
    const expiresAt = await this.#earliestOf(id, signatures, latest);
    await this.#makeRoom(proposal);
    return this.#put({ proposalId: id, command, signatures, expiresAt });
  }

  async approve(id: string, signature: Signature): Promise<StoredProposal> {
    const stored = await this.#get(id);
    const { command } = stored;
    orRefuse(() => this.#verifier.assertSigned({ command, signatures: [signature] }));
    const expiresAt = await this.#earliestOf(id, [signature], this.#expiryOf(stored));
    return this.#put({ ...stored, signatures: [signature], expiresAt });
  }

  /** Of one that is stored, unless whoever wrote to the store gave it a date that it cannot have. */
  #expiryOf(stored: StoredProposal | undefined): number {
    const now = this.#deps.clock.now();
    const latest = now + EXPIRES_AFTER_MS;
    return stored !== undefined && stored.expiresAt > now ? Math.min(stored.expiresAt, latest) : latest;
  }

  /**
   * Until when all the signatures count, at most `latest`: a proposal that was dropped, or that the store drops
   * meanwhile, is put anew with this date, so that what was signed once does not wait for another week. Throws
   * ProposalRefusedError for a signature that expired with its proposal: anyone may have kept it. The id alone proves
   * nothing, as the same change has the same for whoever signs it again.
   */
  async #earliestOf(id: string, signatures: readonly Signature[], latest: number): Promise<number> {
    let earliest = latest;
    for (const one of signatures) {
      const { until, isOver } = await this.#deps.store.dateSignature(id, one, latest);
      earliest = Math.min(earliest, until);
      if (!isOver) continue;
      const date = new Date(until).toISOString();
      throw new ProposalRefusedError(
        'invalid',
        `it expired on ${date}, and ${one.operatorId}’s signature with it: propose the change again, with new signatures`,
      );
    }
    return earliest;
  }

  async #put(proposal: StoredProposal): Promise<StoredProposal> {
    const { store } = this.#deps;
    if (!(await store.putProposal(proposal, PLACES))) {
      await this.#dropWhatIsNone();
      if (!(await store.putProposal(proposal, PLACES)))
        throw new ProposalRefusedError('full', `${PLACES} proposals are waiting: sign them, or let them expire`);
    }
    return this.#get(proposal.proposalId);
  }

  /** Who once wrote to the store may have filled the places for ever, with what no list shows. */
  async #dropWhatIsNone(): Promise<void> {
    const { store } = this.#deps;
    const ids = await store.listProposalIds();
    const genuine = new Set((await this.list()).map((one) => one.proposalId));
    for (const id of ids) if (!genuine.has(id)) await store.dropProposal(id);
  }

  /**
   * What is no proposal, or stands under the id of another, is left out, and so is what is no operator's signature: who
   * writes the store must not keep people from the rest.
   *
   * Anyone may ask, and all of it is megabytes: those who come while it is read share the next reading, so that each
   * has what was stored before he came.
   */
  list(): Promise<readonly StoredProposal[]> {
    return (this.#next ??= this.#reading.then(() => {
      this.#next = undefined;
      const read = this.#read();
      this.#reading = read.catch(() => {});
      return read;
    }));
  }

  async #read(): Promise<readonly StoredProposal[]> {
    const stored = await this.#deps.store.listProposals();
    return stored.filter((one) => this.#verifier.isGenuine(one)).map((one) => this.#verifier.asSigned(one));
  }

  standingOf(stored: StoredProposal): ProposalStanding {
    if (isLeft(stored)) return { standing: 'done', generation: this.#deps.tokens.generation };
    const proven = this.provenStandingOf(stored);
    const { failure } = stored;
    return proven.standing === 'ready' && failure !== undefined ? { standing: 'failed', reason: failure } : proven;
  }

  /**
   * The same, without believing the store that a member left, or that the change failed: whoever writes it could keep a
   * member in.
   */
  provenStandingOf({ proposalId: id, command, signatures }: StoredProposal): ProposalStanding {
    const generation = this.#deps.tokens.generationOf(id);
    if (generation !== undefined) return { standing: 'done', generation };
    return this.#verifier.judged({ command, signatures: [...signatures] });
  }

  decided(waiting: readonly StoredProposal[]): Decided {
    const ready = waiting.flatMap((stored) => {
      const standing = this.provenStandingOf(stored);
      return standing.standing === 'ready' ? [{ id: stored.proposalId, change: standing.change }] : [];
    });
    return decidedBy(ready);
  }

  async #get(id: string): Promise<StoredProposal> {
    const stored = await this.#deps.store.findProposal(id);
    if (stored === undefined || !this.#verifier.isGenuine(stored))
      throw new ProposalRefusedError('not-found', 'there is no such proposal, or it expired');
    return this.#verifier.asSigned(stored);
  }

  /** Throws ProposalRefusedError if there is none, because its signers have their share of what may wait. */
  async #makeRoom({ command, signatures }: Proposal): Promise<void> {
    const next = { proposalId: proposalId({ command, signatures: [] }), command, signatures };
    const others = (await this.list()).filter((one) => one.proposalId !== next.proposalId);
    if (hasRoom(next, others)) return;
    const ended = new Set(others.filter((one) => !this.#isLive(one)));
    const live = others.filter((one) => !ended.has(one));
    const dropped = makeRoom(next, live, [...ended]);
    if (dropped === undefined) {
      const names = signatures.map(({ operatorId }) => operatorId).join(', ');
      throw new ProposalRefusedError('full', `as much waits as may, and nobody signed more of it than ${names}`);
    }
    for (const one of dropped) await this.#deps.store.dropProposal(one.proposalId);
  }

  #isLive(stored: StoredProposal): boolean {
    if (stored.signatures.length === 0 || isLeft(stored)) return false;
    return ['collecting', 'ready'].includes(this.provenStandingOf(stored).standing);
  }
}

/** LeaveDomain makes no token: what the store says is all that there is. */
function isLeft({ command, done }: StoredProposal): boolean {
  return done === true && parseDomainChange(command).name === 'LeaveDomain';
}

function orRefuse<T>(check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (error instanceof DomainError) throw new ProposalRefusedError('invalid', error.message, { cause: error });
    throw error;
  }
}
