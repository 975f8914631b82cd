/**
 * What one frontend may use of a rate in the next second, by what was asked of it and of all others in the last one: what the others leave, or
 * its part when all together ask for more than there is. Never nothing, so that who was quiet can begin.
 */
export function shareOf(rate: number, own: number, theirs: number): number {
  const all = own + theirs;
  return Math.max(1, all <= rate ? rate - theirs : Math.floor((rate * own) / all));
}
