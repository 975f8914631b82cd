import { assertSignature, follow } from '@keyfleet/shared/domain/chain';
import { DomainError } from '@keyfleet/shared/domain/domain-error';
import type { VerifiedDomain } from '@keyfleet/shared/domain/state';
import type { DomainToken } from '@keyfleet/shared/domain/token';
import type { TrustAnchor } from '@keyfleet/shared/domain/trust-anchor';

/**
 * The state that `tokens`, oldest first, lead to from what an HSM knows, or from the trust anchor if it knows nothing.
 * Skips tokens before the known one; one of its generation must be the same. Throws `DomainError`.
 */
export function followTokens(
  anchor: TrustAnchor,
  known: VerifiedDomain | undefined,
  tokens: readonly DomainToken[],
): VerifiedDomain {
  const newest = newestOf(tokens);
  if (known === undefined) {
    const [first, ...rest] = tokens;
    return rest.reduce((previous, token) => follow(anchor, previous, token), follow(anchor, undefined, first!));
  }
  const { generation } = known.state;
  if (newest.state.generation < generation) {
    throw new DomainError('rolled-back', `token ${newest.state.generation} is older than the installed ${generation}`);
  }
  const installed = tokens.find(({ state }) => state.generation === generation);
  if (installed !== undefined) {
    assertSameToken(installed, known);
    assertSignature(installed);
  }
  return tokens
    .filter(({ state }) => state.generation > generation)
    .reduce((previous, token) => follow(anchor, previous, token), known);
}

/** Throws `DomainError('no-domain')` if there is none. */
export function newestOf(tokens: readonly DomainToken[]): DomainToken {
  const newest = tokens.at(-1);
  if (newest === undefined) throw new DomainError('no-domain', 'there is no domain token to install');
  return newest;
}

/** Throws `DomainError`, whose code says whether the token is older, newer or of a fork. */
export function assertSameToken({ state, hash }: DomainToken, installed: VerifiedDomain): void {
  const difference = state.generation - installed.state.generation;
  if (difference === 0 && hash.equals(installed.hash)) return;
  const code = difference === 0 ? 'forked' : difference < 0 ? 'stale' : 'skipped';
  throw new DomainError(code, `token ${state.generation} is not the installed token ${installed.state.generation}`);
}
