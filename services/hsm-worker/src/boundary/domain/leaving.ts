import { type DomainState, isMember } from '@keyfleet/shared/domain/state';
import type { DomainToken } from '@keyfleet/shared/domain/token';
import type { Identity } from '../identity.ts';
import { assertSoundKeys, type DomainSecrets } from './domain-secrets.ts';
import { openDomainToken } from './domain-token.ts';

interface Leaving {
  readonly identity: Identity;
  /** What it has from the token of `before`. */
  readonly held: () => DomainSecrets | undefined;
}

/**
 * Whether a member drops its keys by tokens that follow `before` and end without it. It opens the last one in which it
 * is a member: if it was away, those who made and confirmed them may have replaced the keys. Throws `DomainError`.
 */
export function assertMayLeave(before: DomainState, tokens: readonly DomainToken[], { identity, held }: Leaving): void {
  const last = tokens.findLast(({ state }) => isMember(state, identity));
  if (last === undefined || last.state.generation === before.generation) return;
  const secrets = held();
  if (secrets !== undefined) assertSoundKeys(last.state, openDomainToken(last, identity), secrets);
}
