import { DomainError } from '@keyfleet/shared/domain/domain-error';
import { type DomainState, isMember, type Member } from '@keyfleet/shared/domain/state';
import type { DomainToken } from '@keyfleet/shared/domain/token';

/**
 * A member that leaves drops its keys. It keeps them, and throws `DomainError`, where none stays of those that have any
 * but the maker of the token that removes it, and others are admitted: these have nothing to compare, and the maker
 * could have replaced all keys. Nor does a token on top tell, which only they can make. `tokens` follow `before`.
 */
export function assertNotLastWitness(before: DomainState, tokens: readonly DomainToken[], member: Member): void {
  const at = tokens.findIndex(({ state }) => state.generation > before.generation && !isMember(state, member));
  if (at < 0 || isMember(tokens.at(-1)!.state, member)) return;
  const { state, signerId } = tokens[at]!;
  const known = tokens[at - 1]?.state ?? before;
  const others = state.members.filter(({ memberId }) => memberId !== signerId);
  if (others.length === 0 || others.some((one) => isMember(known, one))) return;
  throw new DomainError(
    'forged',
    `by token ${state.generation} only its maker ${signerId} stays of those that have the domain keys: nobody can tell whether it replaced them. This member keeps its own: see docs/recovery.md, "A domain token that nobody confirms"`,
  );
}
