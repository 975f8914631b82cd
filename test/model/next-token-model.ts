import {
  after,
  chainOf,
  counts,
  depthOf,
  honestOf,
  isHostile,
  isIn,
  keyOf,
  leadsTo,
  type Member,
  membersOf,
  type Play,
  type State,
  type Token,
  witnessesOf,
  type World,
} from './next-token-state.ts';

export type Step = readonly [name: string, next: State];

/** Whoever works against the domain is gone, and all who stay hold the newest token. */
export function isOver(state: State, world: World): boolean {
  const { tokens, stored, believed, members } = state;
  return (
    stored === believed &&
    chainOf(tokens, believed).some((index) => tokens[index]!.isChange) &&
    honestOf(world).every((who) => !isIn(who, believed, tokens) || members[who]!.installed === believed)
  );
}

/** Of two tokens that honest members hold or the domain-manager believes, one leads to the other. */
export function isOneChain({ tokens, believed, members }: State, world: World): boolean {
  const held = [...honestOf(world).map((who) => members[who]!.installed), believed];
  return held.every((a) => held.every((b) => leadsTo(tokens, a, b) || leadsTo(tokens, b, a)));
}

/** No token that somebody would take opens for nobody. */
export function opens(state: State, play: Play): boolean {
  return state.tokens.every(({ good }, index) => good || !counts(index, state, play));
}

/** See next-token-state.ts. */
export function stepsOf(state: State, play: Play): Step[] {
  return [...honestSteps(state, play), ...chances(state, play), ...attacks(state, play)];
}

/** What services and people do to go on, whatever anybody else does. */
export function honestSteps(state: State, play: Play): Step[] {
  const { world } = play;
  const { believed, stored, tokens, away } = state;
  const { lost = [] } = world;
  const steps: Step[] = [];
  if (away.length > lost.length) steps.push(['all are back', { ...state, away: lost }]);
  if (!isDistributed(state, world)) steps.push(['distribute', distribute(state, world)]);
  if (look(state, play) !== state) return [...steps, ['look', look(state, play)]];
  if (stored !== believed) {
    const isAfter = leadsTo(tokens, believed, stored);
    // docs/recovery.md: what lies in the store and does not verify; a store that somebody changed.
    const name = isAfter ? 'people take it out' : leadsTo(tokens, stored, believed) ? 'put back' : 'people restore it';
    return [...steps, [name, { ...state, stored: believed }]];
  }
  if (isDenied(state, world)) {
    const { parent } = tokens[believed]!;
    steps.push(['people take it out and restart', { ...state, stored: parent, believed: parent }]);
  }
  const given = askSteps(state, play);
  // It asks first, in each of its rounds.
  const isGiven = given.some(([, next]) => next.believed !== believed);
  return [...steps, ...given, ...(isGiven ? [] : changeSteps(state, play))];
}

/** Members hold another than the newest in the store, and none holds that. */
function isDenied(state: State, world: World): boolean {
  const { tokens, members, believed } = state;
  const honest = honestOf(world);
  const deny = honest.some((who) => !state.away.includes(who) && holdsAnother(who, believed, state, world));
  return believed > 0 && deny && !honest.some((who) => leadsTo(tokens, believed, members[who]!.installed));
}

/** The domain-manager asks for the token that it lacks, and stores it. */
function askSteps(state: State, play: Play): Step[] {
  const { guards, world } = play;
  const { believed, tokens, members, away } = state;
  return honestOf(world).flatMap((who): Step[] => {
    const { installed } = members[who]!;
    const next = after(believed, installed, tokens);
    if (!guards.asks || next === undefined || away.includes(who) || !(guards.vouches || next === installed)) return [];
    return append(`${who} gives what it holds`, next, state, play);
  });
}

/** Operators sign, and the domain-manager has the member make the token. */
function changeSteps(state: State, play: Play): Step[] {
  const { world, guards } = play;
  const { believed, tokens, signed, waived } = state;
  if (chainOf(tokens, believed).some((index) => tokens[index]!.isChange)) return [];
  const removes = world.hostile ? 0 : -1;
  const steps: Step[] = [];
  if (!signed.includes(believed)) {
    // The command line signs so by itself where a removal leaves one alone.
    const isAlone = membersOf(believed, state).filter((who) => who !== removes).length === 1;
    steps.push(['sign', sign(state, isAlone && guards.unwitnessed)]);
  } else {
    for (const by of honestOf(world)) steps.push(...makeSteps(by, { removes, isChange: true }, state, play));
  }
  if (world.lost && guards.unwitnessed && !waived.includes(believed))
    steps.push(['sign --unwitnessed', sign(state, true)]);
  return steps;
}

function sign(state: State, unwitnessed: boolean): State {
  const { believed, signed, waived } = state;
  const also = (all: readonly number[]): number[] => [...new Set([...all, believed])].toSorted((a, b) => a - b);
  return { ...state, signed: also(signed), waived: unwitnessed ? also(waived) : waived };
}

/** `executeProposal`: what the operators signed has `by` make its token. */
function makeSteps(by: number, change: Pick<Token, 'removes' | 'isChange'>, state: State, play: Play): Step[] {
  const { guards, world } = play;
  const { believed, tokens, members, away, waived } = state;
  const { installed, prepared } = members[by]!;
  if (!isIn(by, believed, tokens) || away.includes(by) || installed !== believed) return [];
  const unwitnessed = change.isChange && waived.includes(believed);
  // Nobody is asked to make what nobody in reach could confirm.
  const others = membersOf(believed, state).filter((who) => who !== by && who !== change.removes);
  const canConfirm = others.some((who) => isHostile(who, world) || isAt(who, believed, state));
  if (!unwitnessed && !canConfirm) return [];
  if (prepared >= 0) return guards.takesAny ? append(`${by} makes it`, prepared, state, play) : [];
  const token = { ...change, parent: believed, maker: by, good: true, unwitnessed, witness: false };
  const made = make(state, token);
  const name = `${by} ${change.isChange ? 'makes it' : `removes ${change.removes}`}`;
  const steps = append(name, tokens.length, made, play);
  return world.crash ? [...steps, [`${name}, and the domain-manager dies`, made]] : steps;
}

/** Rotations that are due, restarts, absences, and what operators gave up. */
function chances(state: State, play: Play): Step[] {
  const { world } = play;
  const { tokens, members, believed, stored, away } = state;
  const { lost = [], removal } = world;
  const steps: Step[] = [];
  if (world.writer || world.taker) steps.push(['restart', look({ ...state, believed: 0 }, play)]);
  if (world.away && away.length === lost.length)
    for (const who of honestOf(world)) steps.push([`${who} is away`, { ...state, away: [...lost, who] }]);
  if (removal && stored === believed && isIn(removal.who, believed, tokens))
    steps.push(...makeSteps(removal.by, { removes: removal.who, isChange: false }, state, play));
  for (const who of extrasOf(tokens) < (world.rotations ?? 2) ? honestOf(world) : []) {
    const { installed, prepared } = members[who]!;
    if (prepared >= 0 || away.includes(who) || !isIn(who, installed, tokens)) continue;
    if (installed !== believed && !world.key) continue;
    if (!world.twins && tokens.some(({ parent, isChange }) => parent === installed && !isChange)) continue;
    steps.push(...makings(`${who} rotates`, rotation(installed, who), state, world));
  }
  return steps;
}

function extrasOf(tokens: readonly Token[]): number {
  return tokens.filter(({ isChange }) => !isChange).length - 1;
}

function rotation(parent: number, maker: number, good = true): Token {
  return { parent, maker, good, removes: -1, isChange: false, unwitnessed: false, witness: false };
}

function attacks(state: State, play: Play): Step[] {
  const { guards, world } = play;
  const { tokens, stored, believed, vetoes, members, away } = state;
  const steps: Step[] = [];
  for (const [index, { parent }] of tokens.entries()) {
    if (parent < 0) continue;
    // A hostile member confirms whatever it can confirm, and when it likes.
    const isTaken = counts(index, state, play);
    const liar = !isTaken && witnessesOf(index, state).some((who) => isHostile(who, world));
    const having = liar ? confirmed(index, state) : state;
    // Whoever has a token brings it to the domain-manager, which stores it if others confirm it.
    if (parent === believed && stored === believed) {
      steps.push(...append(`bring ${index}`, index, state, play));
      if (liar) steps.push(...append(`bring ${index}, which 0 confirms`, index, having, play));
    }
    if (world.writer && parent === stored) steps.push([`he stores ${index}`, { ...having, stored: index }]);
    if (!(isTaken || liar) || !(world.manager || (world.key && !guards.shown))) continue;
    for (const who of honestOf(world))
      if (!away.includes(who) && parent === members[who]!.installed) steps.push(...install(who, index, having));
  }
  if (world.taker && stored > 0) steps.push(['he takes the newest', { ...state, stored: tokens[stored]!.parent }]);
  if (!world.hostile) return steps;
  steps.push([`0 says ${vetoes ? 'nothing' : 'that it holds another'}`, { ...state, vetoes: !vetoes }]);
  for (const good of extrasOf(tokens) < (world.rotations ?? 2) ? [true, false] : []) {
    const parent = world.key ? stored : believed;
    const twin = tokens.some((one) => one.parent === parent && one.maker === 0 && one.good === good);
    if (twin || !isIn(0, parent, tokens)) continue;
    steps.push(...makings(`0 makes one${good ? '' : ' for nobody'}`, rotation(parent, 0, good), state, world));
  }
  return steps;
}

/** Whoever has a scheduler's key asks another member to confirm it, while that still does. */
function makings(name: string, token: Token, state: State, world: World): Step[] {
  const made = make(state, token);
  const index = state.tokens.length;
  const isConfirmed = world.key && witnessesOf(index, made).some((who) => confirms(who, index, made, world));
  return [[name, made], ...(isConfirmed ? [[`${name}, confirmed`, confirmed(index, made)] as const] : [])];
}

function make(state: State, token: Token): State {
  const { tokens, members } = state;
  const member = { ...members[token.maker]!, prepared: tokens.length };
  return { ...state, tokens: [...tokens, token], members: members.with(token.maker, member) };
}

function confirmed(index: number, state: State): State {
  const { tokens } = state;
  return { ...state, tokens: tokens.with(index, { ...tokens[index]!, witness: true }) };
}

function install(who: number, index: number, state: State): Step[] {
  const { tokens, members } = state;
  if (!tokens[index]!.good || !isIn(who, members[who]!.installed, tokens)) return [];
  return [[`${who} installs ${index}`, { ...state, members: members.with(who, { installed: index, prepared: -1 }) }]];
}

/** Whoever is there installs what the domain-manager believes, as far as it opens. */
function distribute(state: State, world: World): State {
  const { tokens, believed, away } = state;
  const members = state.members.map((member, who): Member => {
    let { installed, prepared } = member;
    if (isHostile(who, world) || away.includes(who)) return member;
    for (let next; (next = after(installed, believed, tokens)) !== undefined && tokens[next]!.good; prepared = -1) {
      if (!isIn(who, installed, tokens)) break;
      installed = next;
    }
    return { installed, prepared };
  });
  return { ...state, members };
}

function isDistributed(state: State, world: World): boolean {
  return keyOf(distribute(state, world)) === keyOf(state);
}

/** It believes what verifies, in what follows what it believed. */
function look(state: State, play: Play): State {
  const { tokens, stored, believed } = state;
  let found = believed;
  for (let next; (next = after(found, stored, tokens)) !== undefined && counts(next, state, play);) found = next;
  return found === believed ? state : { ...state, believed: found };
}

/** Even if it is not stored, whoever made it is bound to it. */
function append(name: string, index: number, state: State, play: Play): Step[] {
  const before = distribute(state, play.world);
  const has = counts(index, before, play);
  const others = witnessesOf(index, before).filter((who) => confirms(who, index, before, play.world));
  if (((!has || play.guards.always) && isVetoed(index, before, play)) || !(has || others.length > 0))
    return [[name, before]];
  const next = has ? before : confirmed(index, before);
  return [[name, distribute({ ...next, stored: index, believed: index }, play.world)]];
}

/** Whether a member signs that it holds another token, and those who decided on its removal do not count it out. */
function isVetoed(index: number, state: State, { guards, world }: Play): boolean {
  const { tokens, signed, believed } = state;
  const { maker } = tokens[index]!;
  const isSigned = world.hostile === true && signed.includes(believed);
  const removals = isSigned ? honestOf(world).map((by) => ({ who: 0, by })) : [];
  if (world.removal) removals.push(world.removal);
  const leaves = (who: number): boolean =>
    guards.leaver && removals.some((one) => one.who === who && (one.by === maker || who === maker));
  const asked = [...witnessesOf(index, state), ...(guards.maker ? [maker] : [])];
  return guards.veto && asked.some((who) => !leaves(who) && holdsAnother(who, index, state, world));
}

function holdsAnother(who: number, index: number, state: State, world: World): boolean {
  if (isHostile(who, world)) return state.vetoes;
  const { tokens, members } = state;
  const { installed } = members[who]!;
  const { parent } = tokens[index]!;
  if (!isAt(who, parent, state) || installed === parent) return false;
  return !leadsTo(tokens, index, installed);
}

function confirms(who: number, index: number, state: State, world: World): boolean {
  if (isHostile(who, world) || state.away.includes(who)) return false;
  const { tokens, members } = state;
  const { parent, good } = tokens[index]!;
  const { installed } = members[who]!;
  return installed === parent ? good : leadsTo(tokens, index, installed);
}

/** An honest member that is there and has at least a token of that generation. */
function isAt(who: number, index: number, { tokens, members, away }: State): boolean {
  return !away.includes(who) && depthOf(tokens, members[who]!.installed) >= depthOf(tokens, index);
}
