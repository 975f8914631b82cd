import {
  chainOf,
  depthOf,
  honestOf,
  isHostile,
  isIn,
  isThere,
  leadsTo,
  membersOf,
  type Play,
  rely,
  type Removal,
  type Says,
  type State,
  type Token,
  type World,
} from './next-token-state.ts';

/** `assertOthersOpen` of the domain-manager: whether a token is stored. */
export function witness(
  index: number,
  state: State,
  { guards, world }: Play,
): 'confirmed' | 'nobody there' | 'refused' {
  const { tokens, members, signed, believed } = state;
  const { maker } = tokens[index]!;
  const removals = replacedOf(believed, state, world);
  if (signed && world.hostile) removals.push(...honestOf(world).map((by) => ({ who: 0, by })));
  const leaves = (who: number): boolean => guards.leaver && removals.some((one) => one.who === who && one.by === maker);
  const others = membersOf(index, state).filter((who) => who !== maker);
  if (others.length === 1 && leaves(others[0]!)) return 'confirmed';
  const there = others.filter(
    (who) => isThere(who, state) && (guards.asked || !removals.some((one) => one.who === who)),
  );
  const { parent } = tokens[index]!;
  const ready = there.filter(
    (who) => isHostile(who, world) || depthOf(tokens, members[who]!.installed) >= depthOf(tokens, parent),
  );
  if (ready.length === 0) return there.length > 0 && others.length > 1 ? 'refused' : 'nobody there';
  const answers = ready.map((who) => ({ who, answer: answerOf(who, index, state, { guards, world }) }));
  const vetoed = answers.some(({ who, answer }) => answer === 'that it holds another' && !leaves(who));
  if (guards.veto && vetoed) return 'refused';
  return answers.some(({ answer }) => answer === 'yes') ? 'confirmed' : 'refused';
}

function replacedOf(believed: number, { tokens }: State, { replaced }: World): Removal[] {
  return (replaced ?? []).filter(({ who }) => isIn(who, believed, tokens));
}

/** What a member says of a token. */
export function answerOf(who: number, index: number, state: State, { guards, world }: Play): Says {
  if (!isThere(who, state)) return 'nothing';
  if (isHostile(who, world)) return state.says;
  const { tokens, members } = state;
  const { installed } = members[who]!;
  const { parent, good } = tokens[index]!;
  if (installed === index) return 'yes';
  if (installed === parent) return good ? 'yes' : 'no';
  if (guards.vouches && leadsTo(tokens, index, installed)) return 'yes';
  return depthOf(tokens, installed) < depthOf(tokens, parent) ? 'nothing' : 'that it holds another';
}

/** `confirmStored` of the domain-manager: what it makes of what it finds in the store. */
export function look(state: State, play: Play): State {
  const { tokens, stored, believed, checked } = state;
  const { guards } = play;
  // It says that the store was changed.
  if (!leadsTo(tokens, believed, stored)) return state;
  if (checked || !guards.found) return rely(stored, state);
  const opinions = membersOf(stored, state).flatMap((who) => opinionsOf(who, state, play));
  const confirmed = opinions.filter(({ says }) => says === 'yes').map(({ of }) => depthOf(tokens, of));
  const best = Math.max(0, ...confirmed);
  const known = guards.stays ? depthOf(tokens, believed) : 0;
  const denied = opinions.filter(
    ({ says, of }) =>
      says === 'no' &&
      depthOf(tokens, of) > Math.max(known, guards.outweighs ? best : 0) &&
      !(guards.built && isBuiltOn(of, stored, tokens)),
  );
  if (best === depthOf(tokens, stored) && (guards.outweighs || denied.length === 0))
    return rely(stored, { ...state, checked: true });
  const [lowest] = denied.map(({ of }) => of).toSorted((one, other) => depthOf(tokens, one) - depthOf(tokens, other));
  return rely(lowest === undefined ? stored : tokens[lowest]!.parent, state);
}

interface Opinion {
  readonly of: number;
  readonly says: 'yes' | 'no';
}

/** A hostile member is asked about whichever token it likes. Of two members, the maker's word counts as well. */
function opinionsOf(who: number, state: State, { guards, world }: Play): Opinion[] {
  const { tokens, stored, members } = state;
  const chain = chainOf(tokens, stored).slice(1);
  const counts = (index: number): boolean => tokens[index]!.maker !== who || (index === stored && world.members === 2);
  const asked = isHostile(who, world) ? chain : chain.slice(0, depthOf(tokens, members[who]!.installed) + 1).slice(-1);
  return asked.filter(counts).flatMap((of): Opinion[] => {
    const says = answerOf(who, of, state, { guards, world });
    const isLater = says === 'that it holds another' && !isHostile(who, world);
    if (says === 'nothing' || (isLater && depthOf(tokens, members[who]!.installed) > depthOf(tokens, of))) return [];
    if (says === 'yes') return [{ of, says }];
    return tokens[of]!.maker === who ? [] : [{ of, says: 'no' }];
  });
}

function isBuiltOn(index: number, newest: number, tokens: readonly Token[]): boolean {
  const later = chainOf(tokens, newest).filter((one) => one !== index && leadsTo(tokens, index, one));
  return later.some((one) => tokens[one]!.maker !== tokens[index]!.maker);
}
