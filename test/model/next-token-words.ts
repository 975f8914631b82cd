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
  settle,
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
  const ofMaker = answerOf(maker, index, state, { guards, world });
  if (guards.maker && ofMaker === 'that it holds another' && !removals.some(({ who }) => who === maker))
    return 'refused';
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

/** `confirmStored` and the log of the domain-manager: what it makes of what it finds in the store. */
export function look(state: State, play: Play): State {
  const { tokens, stored, believed, settled, checked } = state;
  const { guards } = play;
  // Of what it would not give up it says that the store was changed.
  if (!leadsTo(tokens, believed, stored)) return believed === settled ? state : look(rely(settled, state), play);
  if (checked || !guards.found) return settle(stored, state);
  const opinions = membersOf(stored, state).flatMap((who) => opinionsOf(who, state, play));
  const confirmed = opinions.filter(({ says }) => says === 'yes').map(({ of }) => of);
  const known = guards.stays ? settled : 0;
  const isForked = guards.two && opinions.some((one) => isHeldByTwo(one, opinions, tokens));
  const [best = 0] = isForked || !guards.outweighs ? [] : confirmed.toSorted((one, other) => byAge(tokens, other, one));
  const [floor] = [known, best].toSorted((one, other) => byAge(tokens, other, one));
  const [denied] = opinions
    .filter(({ says, of, isMaker }) => says !== 'yes' && !isMaker && byAge(tokens, of, floor!) > 0)
    .map(({ of }) => of)
    .filter((of) => !(guards.built && isBuiltOn(of, stored, tokens)))
    .toSorted((one, other) => byAge(tokens, one, other));
  if (denied !== undefined) return giveUp(tokens[denied]!.parent, state, play);
  if (confirmed.includes(stored)) return settle(stored, { ...state, checked: true });
  if (confirmed.length === 0 || !guards.onward) return guards.unsure ? rely(stored, state) : settle(stored, state);
  const sure = chainOf(tokens, stored).findLast((of) => of === floor || isBuiltOn(of, stored, tokens));
  return settle(sure!, state);
}

/** What it believed after that, unless it is never given up. */
function giveUp(index: number, state: State, { guards }: Play): State {
  const { tokens, settled } = state;
  return rely(guards.stays && leadsTo(tokens, index, settled) ? settled : index, state);
}

function byAge(tokens: readonly Token[], one: number, other: number): number {
  return depthOf(tokens, one) - depthOf(tokens, other);
}

interface Opinion {
  readonly of: number;
  readonly says: Exclude<Says, 'nothing'>;
  /** Of a token of its own it says that it holds another. */
  readonly isMaker: boolean;
  /** Which other one it says that it holds; -1: as somebody else. */
  readonly held: number;
}

/** A hostile member is asked about whichever token it likes. Of two members, the maker's word counts as well. */
function opinionsOf(who: number, state: State, play: Play): Opinion[] {
  const { tokens, stored, members } = state;
  const isLiar = isHostile(who, play.world);
  const { installed } = members[who]!;
  const chain = chainOf(tokens, stored).slice(1);
  const asked = isLiar ? chain : chain.slice(0, depthOf(tokens, installed) + 1).slice(-1);
  return asked.flatMap((of): Opinion[] => {
    const says = answerOf(who, of, state, play);
    const isMaker = tokens[of]!.maker === who;
    if (says === 'nothing' || (isMaker && says === 'no')) return [];
    if (isMaker && says === 'yes' && !(play.world.members === 2 && of === stored)) return [];
    // If it holds a later one, the store has lost tokens, which says nothing of this one.
    if (says === 'that it holds another' && !isLiar && byAge(tokens, installed, of) > 0) return [];
    return [{ of, says, isMaker, held: isLiar ? -1 : installed }];
  });
}

function isHeldByTwo({ of, says, held }: Opinion, opinions: readonly Opinion[], tokens: readonly Token[]): boolean {
  if (says !== 'that it holds another') return false;
  const holding = opinions.filter((one) => one.of === of && one.says === says && [held, -1].includes(one.held));
  const confirming = opinions.filter((one) => one.says === 'yes' && byAge(tokens, one.of, of) >= 0);
  return holding.length > 1 && holding.length > confirming.length;
}

function isBuiltOn(index: number, newest: number, tokens: readonly Token[]): boolean {
  const later = chainOf(tokens, newest).filter((one) => one !== index && leadsTo(tokens, index, one));
  return later.some((one) => tokens[one]!.maker !== tokens[index]!.maker);
}
