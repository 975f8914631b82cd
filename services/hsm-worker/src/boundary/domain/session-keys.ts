import { activeDomainKey, CHANGEOVER_MS, type DomainState, newestAfterRemoval } from '@keyfleet/shared/domain/state';
import { SESSION_MS } from '@keyfleet/shared/hsm/session';

/**
 * The generation that made the oldest domain key whose session tokens a member takes; `before` it installed `state`.
 * None is from before the last removal: whoever left held those keys. After a restart it is the newest, for hosts
 * negotiate again in milliseconds.
 */
export function sessionFloor(state: DomainState, before = activeDomainKey(state).createdGeneration): number {
  return Math.max(before, newestAfterRemoval(state)?.createdGeneration ?? 0);
}

/**
 * Whether session tokens under this domain key are good: it seals, or did so until a session ago, and no former member
 * holds it. `deactivatedAt`: when the member learned that there is a newer one, by its own clock; undefined for the
 * active key. The time in the token is its preparer's, who may have dated it back.
 */
export function takesSessionsUnder(
  domainKeyId: string,
  state: DomainState,
  {
    floor,
    deactivatedAt,
    now,
  }: { readonly floor: number; readonly deactivatedAt: number | undefined; readonly now: number },
): boolean {
  const key = state.domainKeys.find(({ id }) => id === domainKeyId);
  if (key === undefined || key.status === 'retired' || key.createdGeneration < floor) return false;
  return deactivatedAt === undefined || now - deactivatedAt < SESSION_MS + CHANGEOVER_MS;
}
