import { DomainError } from '@keyfleet/shared/domain/domain-error';
import { type DomainState, isMember, type Member } from '@keyfleet/shared/domain/state';
import type { DomainToken } from '@keyfleet/shared/domain/token';
import type { Identity } from '../identity.ts';
import { assertSameKeys, type DomainSecrets } from './domain-secrets.ts';
import { openDomainToken } from './domain-token.ts';

interface Leaving {
  readonly identity: Identity;
  /** What it has from the token of `before`. */
  readonly held: () => DomainSecrets | undefined;
}

/**
 * Whether a member drops its keys by tokens that follow `before` and end without it. It opens the last one in which it
 * is a member: if it was away, nobody may have replaced the keys meanwhile. Throws `DomainError`.
 */
export function assertMayLeave(before: DomainState, tokens: readonly DomainToken[], { identity, held }: Leaving): void {
  const last = tokens.findLast(({ state }) => isMember(state, identity));
  if (last !== undefined && last.state.generation > before.generation) {
    const secrets = held();
    if (secrets !== undefined) assertSameKeys(secrets, openDomainToken(last, identity));
  }
  assertNotLastWitness(before, tokens, identity);
}

/**
 * It does not, where none stays of those that have any but the maker of the token that removes it, and others are
 * admitted: these have nothing to compare, and the maker could have replaced all keys. Nor does a token on top tell,
 * which only they can make.
 */
function assertNotLastWitness(before: DomainState, tokens: readonly DomainToken[], member: Member): void {
  const at = tokens.findIndex(({ state }) => state.generation > before.generation && !isMember(state, member));
  if (at < 0) return;
  const { state, signerId } = tokens[at]!;
  const known = tokens[at - 1]?.state ?? before;
  const others = state.members.filter(({ memberId }) => memberId !== signerId);
  if (others.length === 0 || others.some((one) => isMember(known, one))) return;
  throw new DomainError(
    'forged',
    `by token ${state.generation} only its maker ${signerId} stays of those that have the domain keys: nobody can tell whether it replaced them. This member remembers its own, and serves nobody: see docs/recovery.md, "A domain token that nobody confirms"`,
  );
}
