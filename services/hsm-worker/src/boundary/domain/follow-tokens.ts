import { assertNotFromFuture, assertSignature, follow, followMade, isFromFuture } from '@keyfleet/shared/domain/chain';
import { DomainError } from '@keyfleet/shared/domain/domain-error';
import type { VerifiedDomain } from '@keyfleet/shared/domain/state';
import { type DomainToken, parseToken } from '@keyfleet/shared/domain/token';
import type { TrustAnchor } from '@keyfleet/shared/domain/trust-anchor';

/** Where tokens lead to, and those that were read for that. */
interface Followed {
  readonly verified: VerifiedDomain;
  /** From the known one on, if it was among them; never empty. */
  readonly read: readonly DomainToken[];
  /** The first of those after them, if it is from the future. */
  readonly tooEarly?: DomainToken;
}

/**
 * Follows `tokens`, oldest first and without a gap, from what an HSM knows, or from the trust anchor if it knows
 * nothing. Of those before the known one it reads only the first, and none after one that does not follow: who shows
 * them may be hostile, and to read megabytes takes a second, in which no customer is served. It stops before one that
 * is from the future by `now`: those before it may remove somebody. Throws `DomainError`, also if that is the first.
 */
export function followTokens(
  anchor: TrustAnchor,
  known: VerifiedDomain | undefined,
  tokens: readonly Uint8Array[],
  now = Infinity,
): Followed {
  if (tokens[0] === undefined) throw new DomainError('no-domain', 'there is no domain token to install');
  const oldest = parseToken(tokens[0]);
  const behind = Math.max((known?.state.generation ?? 0) - oldest.state.generation, 0);
  const first = behind === 0 ? oldest : parseToken(tokens[Math.min(behind, tokens.length - 1)]!);
  const read = [first];
  let verified = followToken(anchor, known, first);
  if (verified !== known) assertNotFromFuture(verified, now);
  for (const bytes of tokens.slice(behind + 1)) {
    const token = parseToken(bytes);
    const next = follow(anchor, verified, token);
    if (isFromFuture(next, now)) return { verified, read, tooEarly: token };
    verified = next;
    read.push(token);
  }
  return { verified, read };
}

/** The same for one token that a member made, whether or not it has a witness. */
export function followMadeToken(
  anchor: TrustAnchor,
  known: VerifiedDomain | undefined,
  token: DomainToken,
): VerifiedDomain {
  return followToken(anchor, known, token, followMade);
}

function followToken(
  anchor: TrustAnchor,
  known: VerifiedDomain | undefined,
  token: DomainToken,
  next: typeof follow = follow,
): VerifiedDomain {
  const { generation } = token.state;
  if (known !== undefined && generation < known.state.generation) {
    throw new DomainError('rolled-back', `token ${generation} is older than the installed ${known.state.generation}`);
  }
  if (generation !== known?.state.generation) return next(anchor, known, token);
  assertSameToken(token, known);
  assertSignature(token);
  return known;
}

/** Throws `DomainError`, whose code says whether the token is older, newer or of a fork. */
export function assertSameToken({ state, hash }: DomainToken, installed: VerifiedDomain): void {
  const difference = state.generation - installed.state.generation;
  if (difference === 0 && hash.equals(installed.hash)) return;
  const code = difference === 0 ? 'forked' : difference < 0 ? 'stale' : 'skipped';
  throw new DomainError(code, `token ${state.generation} is not the installed token ${installed.state.generation}`);
}
