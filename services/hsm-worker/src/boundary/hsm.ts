import type { Clock } from '@keyfleet/shared/clock';
import { type VerifiedDomain, verifyGenesis, verifyNext } from '@keyfleet/shared/domain/chain';
import { DomainError } from '@keyfleet/shared/domain/domain-error';
import { parseProposal } from '@keyfleet/shared/domain/proposal';
import { verifyProposal } from '@keyfleet/shared/domain/quorum';
import { isMember } from '@keyfleet/shared/domain/state';
import { type DomainToken, parseToken } from '@keyfleet/shared/domain/token';
import type { TrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import { SignedMessage } from '@keyfleet/shared/hsm/session';
import type { Random } from './commands/command.ts';
import { assertSameKeys } from './domain/domain-secrets.ts';
import { openDomainToken } from './domain/domain-token.ts';
import { InstalledDomain } from './domain/installed-domain.ts';
import type { Keyring } from './domain/keyring.ts';
import { prepareGenesis, prepareNext } from './domain/prepare-token.ts';
import { type Identity, newIdentity, openIdentity } from './identity.ts';
import type { SealKey } from './seal-key.ts';

/** Public: who an HSM is, and what it has installed. */
export interface HsmDescription {
  readonly memberId: string;
  /** DER SubjectPublicKeyInfo. */
  readonly signingKey: Uint8Array;
  readonly agreementKey: Uint8Array;
  /** Empty until the HSM is a member for the first time. */
  readonly domain: string;
  /** Tokens after this generation are what the HSM needs. A member that restarted asks for its newest one again: the keys are in it. */
  readonly generation: number;
  /** Of the token of that generation; empty while there is none. */
  readonly tokenHash: Uint8Array;
  /** The generation whose domain key seals; 0 without keys. */
  readonly activeGeneration: number;
}

export interface HsmOptions {
  readonly memberId: string;
  readonly anchor: TrustAnchor;
  readonly sealKey: SealKey;
  /** What `sealedIdentity()` gave last; absent at the first start. */
  readonly sealedIdentity?: Uint8Array;
  readonly clock: Clock;
  readonly random: Random;
  /** The HSM is no member any more: whatever was opened under its keys must be forgotten. */
  readonly onErased?: () => void;
}

/** The state of an HSM: its identity, the newest domain state it has verified, and that state's keys while it is a member. */
export class Hsm {
  readonly #options: HsmOptions;
  #identity: Identity;
  /** The newest token ever installed. Nothing older, and no other one of its generation, is ever accepted. */
  #verified: VerifiedDomain | undefined;
  /** An HSM that only asks to join follows the chain as well, but has no past that it must be held to after a restart. */
  #wasMember = false;
  #installed: InstalledDomain | undefined;

  /** Throws `DomainError` when the sealed identity does not open, or is another's. */
  constructor(options: HsmOptions) {
    this.#options = options;
    const { memberId, anchor, sealKey, sealedIdentity } = options;
    if (sealedIdentity === undefined) {
      this.#identity = newIdentity(memberId);
      return;
    }
    const { identity, installed } = openIdentity(sealedIdentity, sealKey);
    if (identity.memberId !== memberId) {
      throw new DomainError('cannot-open', `this is the identity of ${identity.memberId}, not of ${memberId}`);
    }
    if (installed !== undefined && installed.state.domain !== anchor.domain) {
      throw new DomainError('other-domain', `this identity belongs to domain ${installed.state.domain}`);
    }
    this.#identity = identity;
    this.#verified = installed;
    this.#wasMember = installed !== undefined;
  }

  get memberId(): string {
    return this.#identity.memberId;
  }

  /** Undefined while the HSM has no domain keys. */
  get installed(): InstalledDomain | undefined {
    return this.#installed;
  }

  /** Undefined while the HSM has no domain keys. */
  keyring(): Keyring | undefined {
    return this.#installed?.keyring;
  }

  describe(): HsmDescription {
    const { memberId, signingKey, agreementKey } = this.#identity;
    const verified = this.#verified;
    const waitsForKeys =
      verified !== undefined && this.#installed === undefined && isMember(verified.state, this.#identity);
    return {
      memberId,
      signingKey,
      agreementKey,
      domain: verified !== undefined && this.#wasMember ? verified.state.domain : '',
      generation: verified === undefined ? 0 : verified.state.generation - (waitsForKeys ? 1 : 0),
      tokenHash: verified === undefined || waitsForKeys ? Buffer.alloc(0) : verified.hash,
      activeGeneration: this.#installed?.sealingGeneration ?? 0,
    };
  }

  /** Identity and newest token, under the seal key. The shell writes it durably after every `install` and `leave`, before it confirms. */
  sealedIdentity(): Buffer {
    return this.#identity.seal(this.#options.sealKey, this.#wasMember ? this.#verified : undefined);
  }

  /** A `SignedMessage` under the identity's signing key. */
  signMessage(message: Uint8Array): Buffer {
    return SignedMessage.encode({ message, signature: this.#identity.sign(message) });
  }

  /**
   * The token that a quorum-signed command makes of `current`, the token this HSM has installed; the founding token without
   * `current`. Changes nothing here: the HSM installs it like everyone else. Throws `DomainError`.
   */
  prepare(proposal: Uint8Array, current?: Uint8Array): Buffer {
    const maker = { ...this.#options, identity: this.#identity };
    if (current === undefined) {
      if (this.#verified !== undefined) throw new DomainError('already-in-domain', 'this HSM already has a domain');
      return prepareGenesis(this.#options.anchor, parseProposal(proposal), maker);
    }
    if (this.#verified === undefined || this.#installed === undefined) throw noDomain();
    assertSameToken(parseToken(current), this.#verified);
    return prepareNext({ ...this.#verified, secrets: this.#installed.secrets }, parseProposal(proposal), maker);
  }

  /**
   * Verifies `tokens`, oldest first, against what is installed (or the trust anchor), opens the newest, and only then changes.
   * Tokens before the installed one are skipped. Throws `DomainError` and then has changed nothing.
   */
  install(tokens: readonly Uint8Array[]): void {
    const parsed = tokens.map(parseToken);
    const newest = parsed.at(-1);
    if (newest === undefined) throw new DomainError('no-domain', 'there is no domain token to install');
    const verified = this.#verify(parsed, newest);
    // The one that is opened is the one that was verified, whatever else came with it.
    assertSameToken(newest, verified);
    if (this.#installed !== undefined && this.#installed.state.generation === verified.state.generation) return;

    const { clock, onErased } = this.#options;
    if (!isMember(verified.state, this.#identity)) {
      this.#verified = verified;
      this.#installed = undefined;
      return onErased?.();
    }
    const secrets = openDomainToken(newest, this.#identity);
    if (this.#installed !== undefined) assertSameKeys(this.#installed.secrets, secrets);
    this.#installed = new InstalledDomain({ state: verified.state, secrets }, clock, this.#installed);
    this.#verified = verified;
    this.#wasMember = true;
  }

  /** A hint that every reachable member holds the domain key of `generation`. Wrong or forged, it changes no key's safety. */
  activate(generation: number): void {
    this.#installed?.activate(generation);
  }

  /** Erases the domain and the identity: what remains is a new HSM of the same name. Throws `DomainError`. */
  leave(proposal: Uint8Array): void {
    // Who was never a member has nothing to erase, and the command that made it a fresh HSM must not do so again.
    if (this.#verified === undefined || !this.#wasMember) throw noDomain();
    const command = verifyProposal(this.#verified.state, parseProposal(proposal));
    if (command.name !== 'LeaveDomain' || command.body.memberId !== this.memberId) {
      throw new DomainError('wrong-state', `the command does not make ${this.memberId} leave the domain`);
    }
    this.#identity = newIdentity(this.memberId);
    this.#verified = undefined;
    this.#wasMember = false;
    this.#installed = undefined;
    this.#options.onErased?.();
  }

  #verify(tokens: readonly DomainToken[], newest: DomainToken): VerifiedDomain {
    const known = this.#verified;
    if (known === undefined) {
      const [first, ...rest] = tokens;
      return rest.reduce((previous, token) => verifyNext(previous, token), verifyGenesis(this.#options.anchor, first!));
    }
    const { generation } = known.state;
    if (newest.state.generation < generation) {
      throw new DomainError(
        'rolled-back',
        `token ${newest.state.generation} is older than the installed ${generation}`,
      );
    }
    const installed = tokens.find(({ state }) => state.generation === generation);
    if (installed !== undefined) assertSameToken(installed, known);
    return tokens
      .filter(({ state }) => state.generation > generation)
      .reduce((previous, token) => verifyNext(previous, token), known);
  }
}

function assertSameToken({ state, hash }: DomainToken, installed: VerifiedDomain): void {
  const difference = state.generation - installed.state.generation;
  if (difference === 0 && hash.equals(installed.hash)) return;
  const code = difference === 0 ? 'forked' : difference < 0 ? 'stale' : 'skipped';
  throw new DomainError(code, `token ${state.generation} is not the installed token ${installed.state.generation}`);
}

function noDomain(): DomainError {
  return new DomainError('no-domain', 'this HSM has no domain keys');
}
