import type { Clock } from '@keyfleet/shared/clock';
import { assertNotFromFuture, CLOCK_TOLERANCE_MS } from '@keyfleet/shared/domain/chain';
import { DomainError } from '@keyfleet/shared/domain/domain-error';
import { parseDomainChange } from '@keyfleet/shared/domain/proposal';
import { isMember, type VerifiedDomain } from '@keyfleet/shared/domain/state';
import { type DomainToken, parseToken } from '@keyfleet/shared/domain/token';
import { assertMayBeMade } from '@keyfleet/shared/domain/valid-state';
import { isOffChain, placeOf, signCheck, signHeld } from '@keyfleet/shared/domain/token-check';
import type { Identity } from '../identity.ts';
import type { Steps } from '../steps.ts';
import { assertWithinLimits } from './change-limits.ts';
import { assertSoundKeys } from './domain-secrets.ts';
import { openForAll } from './domain-token.ts';
import type { HeldChain } from './held-chain.ts';
import type { InstalledDomain } from './installed-domain.ts';

/** Whether a member opens a token, or only whether it holds it or another one in its place. */
export type Asked = 'opens' | 'holds';

/** An HSM that is asked about a token, as it is at that time. */
export interface Checker {
  readonly domain: string;
  readonly identity: Identity;
  /** The newest token that it installed as a member. */
  readonly held: VerifiedDomain | undefined;
  /** What led to that. */
  readonly chain: HeldChain;
  /** Whether it is a member of the newest state that it knows. */
  readonly isMember: boolean;
  /** Undefined for who is no member, and for a member that has just started. */
  readonly installed: InstalledDomain | undefined;
  readonly clock: Clock;
  readonly follow: (token: DomainToken) => VerifiedDomain;
  /**
   * What it signed of tokens that follow the newest, by the signing key of the maker. Another map once another token is
   * installed.
   */
  readonly confirmed: () => Map<string, Confirmed>;
}

export interface Confirmed {
  readonly tokenHash: Uint8Array;
  readonly check: Buffer;
}

/** See `Hsm.checking`. A step for each member of the token. */
export function* checkToken(token: Uint8Array, asked: Asked, checker: Checker): Steps<Buffer> {
  const { domain, identity, held, chain, installed, clock, follow } = checker;
  const confirmed = checker.confirmed();
  const { memberId } = identity;
  const parsed = parseToken(token);
  const sign = (message: Uint8Array): Buffer => identity.sign(message);
  const check = { domain, memberId, tokenHash: parsed.hash };
  // Nobody has verified the token yet, and what this signs must be about its own domain.
  if (held !== undefined && parsed.state.domain === domain) {
    // Later ones may follow it that the store lacks: it is to have them all, and if it was removed by one of them, too.
    if (chain.holds(parsed) && isMember(parsed.state, identity)) return signCheck(check, sign);
    const { generation } = held.state;
    if (isOffChain({ generation, hash: held.hash }, placeOf(parsed))) {
      return signHeld({ domain, memberId, generation, tokenHash: held.hash }, sign);
    }
  }
  if (asked === 'holds') throw new DomainError('unauthorized-call', 'who asks is no scheduler of the domain any more');
  if (checker.isMember && installed === undefined) throw new DomainError('no-domain', 'this HSM has no domain keys');
  const verified = follow(parsed);
  assertNotFromFuture(verified, clock.now());
  const maker = makerOf(parsed);
  const known = confirmed.get(maker);
  if (known !== undefined) return againOf(known, parsed);
  assertMayFollow(parsed, checker);
  const received = yield* openForAll(parsed, identity);
  assertSoundKeys(parsed.state, received, installed?.secrets);
  if (checker.confirmed() !== confirmed) {
    throw new DomainError('stale', 'another token was installed while this one was checked');
  }
  // Another one of that maker may have come between the steps.
  const first = confirmed.get(maker);
  if (first !== undefined) return againOf(first, parsed);
  const signed = signCheck(check, sign);
  confirmed.set(maker, { tokenHash: parsed.hash, check: signed });
  return signed;
}

/** An HSM that was made anew under the same name has another key, and remembers no token. */
function makerOf({ state, signerId }: DomainToken): string {
  const { signingKey } = state.members.find(({ memberId }) => memberId === signerId)!;
  return Buffer.from(signingKey).toString('hex');
}

/**
 * A check makes every wrapped key again, so the same token is opened once. And each member makes one token that follows
 * the newest, and keeps it before anybody sees it: whoever brings two of them works against the domain.
 */
function againOf({ tokenHash, check }: Confirmed, { state, signerId, hash }: DomainToken): Buffer {
  if (hash.equals(tokenHash)) return Buffer.from(check);
  throw new DomainError('forked', `${signerId} has made another token ${state.generation}, which was confirmed here`);
}

/** What a member asks of a change that it carries out itself: a hostile maker does not ask. */
function assertMayFollow({ proposal }: DomainToken, { installed }: Checker): void {
  const change = parseDomainChange(proposal.command);
  assertMayBeMade(change);
  if (installed === undefined) return;
  // By its own pause, whatever that of the token's maker is. What is too soon now passes later.
  const rotatesInMs = installed.rotatesInMs - CLOCK_TOLERANCE_MS;
  assertWithinLimits(installed.state, proposal, { change, rotatesInMs });
}
