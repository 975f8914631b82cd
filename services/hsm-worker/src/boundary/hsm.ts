import { assertNotFromFuture, reaches } from '@keyfleet/shared/domain/chain';
import { DomainError } from '@keyfleet/shared/domain/domain-error';
import { parseProposal, type Proposal } from '@keyfleet/shared/domain/proposal';
import { verifyProposal } from '@keyfleet/shared/domain/quorum';
import { type DomainState, isMember, type Operator, type VerifiedDomain } from '@keyfleet/shared/domain/state';
import { type DomainToken, parseToken } from '@keyfleet/shared/domain/token';
import type { TrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import { SignedMessage } from '@keyfleet/shared/hsm/session';
import type { Random } from './crypto/random.ts';
import { type Asked, checkToken, type Confirmed } from './domain/check-token.ts';
import { assertSoundKeys, type DomainSecrets } from './domain/domain-secrets.ts';
import { openDomainToken } from './domain/domain-token.ts';
import { assertSameToken, followMadeToken, followTokens } from './domain/follow-tokens.ts';
import { HeldChain } from './domain/held-chain.ts';
import { InstalledDomain, type InstalledDomainOptions, losesKeys } from './domain/installed-domain.ts';
import type { Keyring } from './domain/keyring.ts';
import { assertMayLeave } from './domain/leaving.ts';
import { PreparedToken } from './domain/prepared-token.ts';
import { assertPreparer, prepareGenesis, prepareNext, type TokenMaker } from './domain/prepare-token.ts';
import type { HsmDescription } from './hsm-description.ts';
import { type Identity, newIdentity, openIdentity } from './identity.ts';
import type { SealKey } from './seal-key.ts';
import { atOnce, type Steps } from './steps.ts';

/** A new HSM of the same name, which is to take the place of one that leaves its domain. */
export interface Successor {
  /** For the shell to write durably before `succeed`. */
  readonly sealedIdentity: Buffer;
  succeed(): void;
}

export interface HsmOptions extends InstalledDomainOptions {
  readonly memberId: string;
  readonly anchor: TrustAnchor;
  readonly sealKey: SealKey;
  /** The last result of `sealedIdentity()`; absent at the first start. */
  readonly sealedIdentity?: Uint8Array;
  /** The last tokens that `install` returned, oldest first, as far as they are there: see `HeldChain`. */
  readonly heldTokens?: readonly Uint8Array[];
  readonly random: Random;
  /** Domain keys were lost or went out of use: forget everything that was opened under any of them. */
  readonly onKeysLost?: () => void;
}

/**
 * The state of an HSM: its identity, the newest domain state it has verified, and, while it is a member, that state's
 * keys.
 */
export class Hsm {
  readonly #options: HsmOptions;
  #identity: Identity;
  /** The newest token ever installed. No older token, and no other token of its generation, is ever accepted. */
  #verified: VerifiedDomain | undefined;
  /** An HSM that only asks to join follows the chain too, but has no past that it must be held to after a restart. */
  #wasMember = false;
  /** Of the newest token, if this HSM is a member in it. The keys of the next one are compared with these. */
  #opened: InstalledDomain | undefined;
  #chain: HeldChain;
  #prepared: PreparedToken;
  /** See `Checker`; another one for each newest token. */
  #confirmed = new Map<string, Confirmed>();

  /**
   * Throws `DomainError` if the sealed identity does not open, belongs to another HSM, or holds a token that conflicts
   * with the trust anchor's checkpoint.
   */
  constructor(options: HsmOptions) {
    this.#options = options;
    const { memberId, anchor, sealKey, sealedIdentity, heldTokens, clock } = options;
    if (sealedIdentity === undefined) {
      this.#identity = newIdentity(memberId);
      this.#chain = new HeldChain(undefined);
      this.#prepared = new PreparedToken(clock);
      return;
    }
    const { identity, memory } = openIdentity(sealedIdentity, sealKey);
    const { installed, prepared } = memory;
    if (identity.memberId !== memberId) {
      throw new DomainError('cannot-open', `this is the identity of ${identity.memberId}, not of ${memberId}`);
    }
    if (installed !== undefined && installed.state.domain !== anchor.domain) {
      throw new DomainError('other-domain', `this identity belongs to domain ${installed.state.domain}`);
    }
    this.#identity = identity;
    this.#verified = installed;
    this.#chain = new HeldChain(installed, heldTokens);
    // `followTokens` does not look again at what was installed before the checkpoint was set.
    this.#chain.assertComesBy(anchor.checkpoint);
    this.#wasMember = installed !== undefined;
    this.#prepared = new PreparedToken(clock, prepared);
  }

  get memberId(): string {
    return this.#identity.memberId;
  }

  /** Whether these bytes are one of the newest domain tokens that it followed. */
  holds(token: Uint8Array): boolean {
    return this.#chain.holdsBytes(token);
  }

  /** Undefined while the HSM has no domain keys to use: none before the checkpoint, which a false chain lacks. */
  get installed(): InstalledDomain | undefined {
    return this.#verified && reaches(this.#verified, this.#options.anchor.checkpoint) ? this.#opened : undefined;
  }

  /** The newest verified state, whether or not this HSM is a member. */
  get state(): DomainState | undefined {
    return this.#verified?.state;
  }

  /** Those of the newest tokens that it held as a member. */
  get heldSchedulers(): readonly Operator[] {
    return this.#wasMember ? this.#chain.schedulers : [];
  }

  /** Undefined while the HSM has no domain keys. */
  keyring(): Keyring | undefined {
    return this.installed?.keyring;
  }

  describe(): HsmDescription {
    const { memberId, signingKey, agreementKey, encapsulationKey } = this.#identity;
    const verified = this.#verified;
    const waitsForKeys = verified !== undefined && this.installed === undefined && this.#isMemberOf(verified);
    return {
      memberId,
      signingKey,
      agreementKey,
      ...(encapsulationKey && { encapsulationKey }),
      domain: verified !== undefined && this.#wasMember ? verified.state.domain : '',
      generation: verified === undefined ? 0 : verified.state.generation - (waitsForKeys ? 1 : 0),
      tokenHash: verified === undefined || waitsForKeys ? Buffer.alloc(0) : verified.hash,
      activeGeneration: this.installed?.sealingGeneration ?? 0,
    };
  }

  /**
   * The identity and what the HSM must not forget, sealed under the seal key. The shell writes it durably after every
   * `prepare` and `install`, before it answers.
   */
  sealedIdentity(): Buffer {
    const installed = this.#wasMember ? this.#verified : undefined;
    return this.#identity.seal(this.#options.sealKey, { installed, prepared: this.#prepared.bytes });
  }

  /** A `SignedMessage` under the identity's signing key. */
  async signMessage(message: Uint8Array): Promise<Buffer> {
    return SignedMessage.encode({ message, signature: await this.#identity.signOffLoop(message) });
  }

  /**
   * The token that a quorum-signed change makes from `current`, the token this HSM has installed; the founding token
   * without `current`. Installs nothing: this HSM installs it like every other member. It makes one token per
   * generation, and returns that token for every valid proposal that names this HSM. Throws `DomainError`.
   */
  prepare(proposal: Uint8Array, current?: Uint8Array): Buffer {
    return atOnce(this.preparing(proposal, current));
  }

  /** `prepare` in steps, between which the caller neither prepares nor installs another token. */
  *preparing(proposal: Uint8Array, current?: Uint8Array): Steps<Buffer> {
    const parsed = parseProposal(proposal);
    const prepared = yield* current === undefined ? this.#prepareGenesis(parsed) : this.#prepareNext(parsed, current);
    this.#prepared.keep(prepared);
    return Buffer.from(prepared.bytes);
  }

  *#prepareGenesis(proposal: Proposal): Steps<DomainToken> {
    if (this.#verified !== undefined) throw new DomainError('already-in-domain', 'this HSM already has a domain');
    return yield* prepareGenesis(this.#options.anchor, proposal, this.#maker());
  }

  *#prepareNext(proposal: Proposal, current: Uint8Array): Steps<DomainToken> {
    const verified = this.#verified;
    if (verified === undefined || this.installed === undefined) throw noDomain();
    assertSameToken(parseToken(current), verified);
    const { secrets, rotatesInMs } = this.installed;
    return yield* prepareNext({ ...verified, secrets, rotatesInMs }, proposal, this.#maker());
  }

  #maker(): TokenMaker {
    const { clock, random } = this.#options;
    return { identity: this.#identity, prepared: this.#prepared, clock, random };
  }

  /**
   * Verifies `tokens`, oldest first, against what is installed (or the trust anchor) and opens the newest; only then
   * changes anything. Skips tokens before the installed one, and takes those before one that is from the future: that
   * is refused when it is shown again. Returns those after the installed one, for the shell to keep: the installed one
   * again may lack its witness. Throws `DomainError`, in which case nothing has changed; only, a member that may not
   * leave by them (`assertMayLeave`) serves nobody from then on.
   */
  install(tokens: readonly Uint8Array[]): readonly DomainToken[] {
    const now = this.#options.clock.now();
    const { verified, read, tooEarly } = followTokens(this.#options.anchor, this.#verified, tokens, now);
    const newest = read.at(-1)!;
    const before = this.installed;
    if (verified === this.#verified && (this.#opened !== undefined || !this.#isMemberOf(verified))) {
      if (tooEarly !== undefined) assertNotFromFuture(tooEarly, now);
      return [];
    }
    if (this.#isMemberOf(this.#verified) && !this.#isMemberOf(verified)) this.#leaveBy(read);

    // Before the checkpoint, too: what it has by then is what it serves with. It must be what it had before.
    this.#opened = this.#isMemberOf(verified) ? this.#open(newest, verified, this.#heldBefore(read)) : undefined;
    const known = this.#verified?.state.generation ?? 0;
    this.#verified = verified;
    this.#chain.add(read);
    this.#confirmed = new Map();
    this.#prepared.forgetUpTo(verified.state.generation);
    const after = this.installed;
    if (after !== undefined) this.#wasMember = true;
    if (after === undefined || losesKeys(before, after)) this.#options.onKeysLost?.();
    return read.filter(({ state }) => state.generation > known);
  }

  /**
   * The state that `tokens` lead to from what is installed, or from the trust anchor. Installs nothing. Throws
   * `DomainError`.
   */
  verify(tokens: readonly Uint8Array[]): VerifiedDomain {
    return followTokens(this.#options.anchor, this.#verified, tokens).verified;
  }

  /**
   * This HSM's signature that `token` follows what is installed and opens here, and for every other member too; or
   * that it holds a token which is not in that chain. A member compares its keys with those that it has, and refuses
   * while it has none. Of what it does not hold it says nothing to who may ask no more. In steps: of the state at the
   * first one. Changes nothing. Throws `DomainError`.
   */
  *checking(token: Uint8Array, asked: Asked = 'opens'): Steps<Buffer> {
    const { anchor, clock } = this.#options;
    return yield* checkToken(token, asked, {
      domain: anchor.domain,
      identity: this.#identity,
      held: this.#wasMember ? this.#verified : undefined,
      chain: this.#chain,
      isMember: this.#isMemberOf(this.#verified),
      installed: this.installed,
      clock,
      follow: (parsed) => followMadeToken(anchor, this.#verified, parsed),
      confirmed: () => this.#confirmed,
    });
  }

  #isMemberOf(domain: VerifiedDomain | undefined): boolean {
    return domain !== undefined && isMember(domain.state, this.#identity);
  }

  #leaveBy(tokens: readonly DomainToken[]): void {
    try {
      assertMayLeave(this.#verified!.state, tokens, { identity: this.#identity, held: () => this.#heldBefore(tokens) });
    } catch (error) {
      // Its keys open again with its newest token: it remembers that it is a member.
      this.#opened = undefined;
      this.#options.onKeysLost?.();
      throw error;
    }
  }

  /** `held`: what this HSM has from the token before, with which the new one must agree. */
  #open(token: DomainToken, verified: VerifiedDomain, held: DomainSecrets | undefined): InstalledDomain {
    const secrets = openDomainToken(token, this.#identity);
    if (held !== undefined) assertSoundKeys(token.state, secrets, held);
    return new InstalledDomain({ ...verified, secrets }, this.#options, this.installed);
  }

  /**
   * After a restart, the keys of the token that it had opened last. It asks for tokens from there on: who leaves that
   * one out may bring one with other keys.
   */
  #heldBefore(tokens: readonly DomainToken[]): DomainSecrets | undefined {
    if (this.#opened !== undefined) return this.#opened.secrets;
    const last = this.#verified;
    if (last === undefined || !this.#isMemberOf(last)) return undefined;
    const opened = tokens.find(({ hash }) => Buffer.compare(hash, last.hash) === 0);
    if (opened === undefined) throw noDomain();
    return openDomainToken(opened, this.#identity);
  }

  /**
   * A hint that every reachable member holds the domain key of `generation`. A wrong or forged hint endangers no key.
   */
  activate(generation: number): void {
    this.installed?.activate(generation);
  }

  /**
   * Erases the domain and the identity, leaving a new HSM of the same name. Nothing changes before `succeed`: if the
   * old identity stays on the disk, it must still be this HSM that is told to leave. Throws `DomainError`.
   */
  leave(proposal: Uint8Array): Successor {
    // An HSM that was never a member has nothing to erase, and the change that made it fresh must not do so again.
    if (this.#verified === undefined || !this.#wasMember) throw noDomain();
    const change = verifyProposal(this.#verified, parseProposal(proposal));
    assertPreparer(change, this.#identity);
    if (change.name !== 'LeaveDomain' || change.body.memberId !== this.memberId) {
      throw new DomainError('wrong-state', `the change does not make ${this.memberId} leave the domain`);
    }
    const identity = newIdentity(this.memberId);
    return { sealedIdentity: identity.seal(this.#options.sealKey), succeed: () => this.#becomeFresh(identity) };
  }

  #becomeFresh(identity: Identity): void {
    this.#identity = identity;
    this.#confirmed = new Map();
    this.#verified = undefined;
    this.#wasMember = false;
    this.#opened = undefined;
    this.#chain = new HeldChain(undefined);
    this.#prepared = new PreparedToken(this.#options.clock);
    this.#options.onKeysLost?.();
  }
}

function noDomain(): DomainError {
  return new DomainError('no-domain', 'this HSM has no domain keys');
}
