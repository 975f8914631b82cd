import { activeDomainKey, CHANGEOVER_MS, type DomainState, newestAfterRemoval } from '@keyfleet/shared/domain/state';
import { SESSION_MS } from '@keyfleet/shared/hsm/session';

/**
 * The generation of the oldest domain key whose session tokens a member accepts; `before`: its value before `state` was
 * installed. It is never from before the last removal, since the removed member held those keys. After a restart it is
 * the newest, because hosts renegotiate within milliseconds.
 */
export function sessionFloor(state: DomainState, before = activeDomainKey(state).createdGeneration): number {
  return Math.max(before, newestAfterRemoval(state)?.createdGeneration ?? 0);
}

/**
 * Whether session tokens under this domain key are accepted: the key seals, or stopped less than a session's lifetime
 * ago, and no former member holds it. `deactivatedAt`: when the member learned, by its monotonic clock, that there is a
 * newer key; undefined for the active key. The time in the token does not count: its preparer may have backdated it.
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
