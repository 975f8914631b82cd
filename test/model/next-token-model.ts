import {
  after,
  chainOf,
  honestOf,
  isHostile,
  isIn,
  isThere,
  keyOf,
  leadsTo,
  type Member,
  type Play,
  rely,
  settle,
  type State,
  type Token,
  type World,
} from './next-token-state.ts';
import { answerOf, look, witness } from './next-token-words.ts';

export type Step = readonly [name: string, next: State];

/** How many tokens are made beside the change. */
const ROTATIONS = 2;

/** Whoever works against the domain is gone, and all who stay hold the newest token. */
export function isOver(state: State, world: World): boolean {
  const { tokens, stored, believed, members } = state;
  return (
    stored === believed &&
    chainOf(tokens, believed).some((index) => tokens[index]!.isChange) &&
    honestOf(world).every((who) => !isIn(who, believed, tokens) || members[who]!.installed === believed)
  );
}

/** Of two tokens that honest members hold or the domain-manager relies on, one leads to the other. */
export function isOneChain({ tokens, believed, members }: State, world: World): boolean {
  const held = [...honestOf(world).map((who) => members[who]!.installed), believed];
  return held.every((a) => held.every((b) => leadsTo(tokens, a, b) || leadsTo(tokens, b, a)));
}

/** The domain-manager relies on no token that nobody can open, except as long as nobody can say. */
export function opens({ tokens, settled }: State): boolean {
  return chainOf(tokens, settled).every((index) => tokens[index]!.good);
}

/** What the domain-manager once relied on, such as a removal, it does not forget. */
export function neverGoesBack({ tokens, told, believed }: State): boolean {
  return leadsTo(tokens, told, believed);
}

/** See next-token-state.ts. */
export function stepsOf(state: State, play: Play): Step[] {
  return [...honestSteps(state, play), ...chances(state, play), ...attacks(state, play)];
}

/** What services and people do to go on, whatever anybody else does. */
export function honestSteps(state: State, play: Play): Step[] {
  const { guards, world } = play;
  const { believed, stored, tokens, away } = state;
  const steps: Step[] = [];
  if (away.length > 0) steps.push(['all are back', { ...state, away: [] }]);
  if (!isDistributed(state, world)) steps.push(['distribute', distribute(state, world)]);
  if (stored !== believed) {
    if (stored !== state.settled && leadsTo(tokens, stored, state.settled))
      return [...steps, ['put back', { ...rely(state.settled, state), stored: state.settled }]];
    return [...steps, ['look', distribute(look(state, play), world)], ...decisions(state, play)];
  }
  if (!state.checked) steps.push(['look', look(state, play)]);
  const given = guards.asks ? askSteps(state, play) : [];
  // It asks first, in each of its rounds.
  const isGiven = given.some(([, next]) => next.believed !== believed);
  return [...steps, ...given, ...(isGiven ? [] : changeSteps(state, play)), ...decisions(state, play)];
}

/** The domain-manager asks for the token that it lacks, and stores it. */
function askSteps(state: State, play: Play): Step[] {
  const { guards, world } = play;
  return honestOf(world).flatMap((who) => {
    const { believed, tokens, members } = state;
    const { installed } = members[who]!;
    const next = after(believed, installed, tokens);
    if (next === undefined || !isThere(who, state) || !(guards.vouches || next === installed)) return [];
    return append(`${who} gives what it holds`, next, state, play);
  });
}

/** Operators sign, and the domain-manager has the member make the token. */
function changeSteps(state: State, play: Play): Step[] {
  const { guards, world } = play;
  const { believed, tokens, members, signed } = state;
  if (chainOf(tokens, believed).some((index) => tokens[index]!.isChange)) return [];
  if (!signed) return [['sign', { ...state, signed: true }]];
  return honestOf(world).flatMap((by): Step[] => {
    if (!isIn(by, believed, tokens)) return [];
    const { installed, prepared } = members[by]!;
    if (!isThere(by, state) || installed !== believed || (prepared >= 0 && !guards.takesAny)) return [];
    const removes = world.hostile ? 0 : -1;
    const made =
      prepared >= 0 ? state : make(state, { parent: believed, maker: by, good: true, removes, isChange: true });
    return append(`${by} makes it`, made.members[by]!.prepared, made, play, true);
  });
}

/** docs/recovery.md, "A domain token that nobody confirms". */
function decisions(state: State, play: Play): Step[] {
  const { world } = play;
  const { stored, believed, tokens, members } = state;
  const doubted = after(believed, stored, tokens) ?? stored;
  const answers = honestOf(world).map((who) => answerOf(who, doubted, state, play));
  const isHeld = honestOf(world).some((who) => leadsTo(tokens, doubted, members[who]!.installed));
  const steps: Step[] = [];
  if (answers.some((answer) => answer === 'no' || answer === 'that it holds another') && !isHeld) {
    const { parent } = tokens[doubted]!;
    const before = (index: number): number => (leadsTo(tokens, doubted, index) ? parent : index);
    const [without, settled] = [before(believed), before(state.settled)];
    const next = { ...state, stored: parent, believed: without, settled, checked: false, signed: false, told: 0 };
    steps.push(['people remove it', next]);
  }
  if (!leadsTo(tokens, believed, stored))
    steps.push(['people restart', look({ ...state, believed: 0, settled: 0 }, play)]);
  if (stored !== believed && world.hostile) steps.push(['people stop 0', { ...state, says: 'nothing' }]);
  return steps;
}

/** Rotations that are due, restarts, and absences. */
function chances(state: State, play: Play): Step[] {
  const { world } = play;
  const { tokens, members, believed, away } = state;
  const steps: Step[] = [];
  if (world.writer || world.taker) steps.push(['restart', look({ ...state, believed: 0, settled: 0 }, play)]);
  if (world.away && away.length === 0)
    for (const who of honestOf(world)) steps.push([`${who} is away`, { ...state, away: [who] }]);
  if (world.away === 'all' && away.length === 0) steps.push(['all are away', { ...state, away: honestOf(world) }]);
  for (const who of rotationsOf(tokens) < ROTATIONS ? honestOf(world) : []) {
    const { installed, prepared } = members[who]!;
    if (prepared >= 0 || !isThere(who, state) || !isIn(who, installed, tokens)) continue;
    if (installed !== believed && !world.key) continue;
    if (!world.twins && tokens.some(({ parent, isChange }) => parent === installed && !isChange)) continue;
    steps.push([`${who} rotates`, make(state, { ...rotation(installed), maker: who, good: true })]);
  }
  return steps;
}

function rotationsOf(tokens: readonly Token[]): number {
  return tokens.filter(({ isChange }) => !isChange).length - 1;
}

function rotation(parent: number): Pick<Token, 'parent' | 'removes' | 'isChange'> {
  return { parent, removes: -1, isChange: false };
}

function attacks(state: State, play: Play): Step[] {
  const { guards, world } = play;
  const { tokens, stored, believed, checked, says, members } = state;
  const steps: Step[] = [];
  // Whoever has a token brings it to the domain-manager, which stores it if others confirm it.
  for (const index of tokens.keys()) {
    if (tokens[index]!.parent === believed && stored === believed)
      steps.push(...append(`bring ${index}`, index, state, play));
    if (world.writer && tokens[index]!.parent === stored)
      steps.push([`he stores ${index}`, { ...state, stored: index, checked: false }]);
    if (!world.manager && (guards.shown || !world.key)) continue;
    for (const who of honestOf(world))
      if (isThere(who, state) && tokens[index]!.parent === members[who]!.installed)
        steps.push(...install(who, index, state));
  }
  if (world.writer && checked) steps.push(['he takes the check', { ...state, checked: false }]);
  if (world.taker && stored > 0) {
    const { parent } = tokens[stored]!;
    steps.push(['he takes the newest', { ...state, stored: parent, checked: false, told: 0 }]);
  }
  if (!world.hostile) return steps;
  for (const other of ['yes', 'no', 'that it holds another', 'nothing'] as const)
    if (other !== says) steps.push([`0 says ${other}`, { ...state, says: other }]);
  for (const good of rotationsOf(tokens) < ROTATIONS ? [true, false] : []) {
    const parent = world.key ? stored : believed;
    const twin = tokens.some((one) => one.parent === parent && one.maker === 0 && one.good === good);
    if (twin || !isIn(0, parent, tokens)) continue;
    steps.push([`0 makes one${good ? '' : ' for nobody'}`, make(state, { ...rotation(parent), maker: 0, good })]);
  }
  return steps;
}

function make(state: State, token: Token): State {
  const { tokens, members } = state;
  const member = { ...members[token.maker]!, prepared: tokens.length };
  return { ...state, tokens: [...tokens, token], members: members.with(token.maker, member) };
}

function install(who: number, index: number, state: State): Step[] {
  const { tokens, members } = state;
  if (!tokens[index]!.good || !isIn(who, members[who]!.installed, tokens)) return [];
  return [[`${who} installs ${index}`, { ...state, members: members.with(who, { installed: index, prepared: -1 }) }]];
}

/** Whoever is there installs what the domain-manager relies on, as far as it opens. */
function distribute(state: State, world: World): State {
  const { tokens, believed } = state;
  const members = state.members.map((member, who): Member => {
    let { installed, prepared } = member;
    if (isHostile(who, world) || !isThere(who, state)) return member;
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

/** Even if it is not stored, whoever made it is bound to it. `isByPeople`: so is what it would be stored for. */
function append(name: string, index: number, state: State, play: Play, isByPeople = false): Step[] {
  const before = distribute(state, play.world);
  const witnessed = witness(index, before, play);
  const waits = play.guards.waits && witnessed === 'nobody there' && !isByPeople && !state.tokens[index]!.isChange;
  if (waits || witnessed === 'refused') return [[name, before]];
  const checked = witnessed === 'confirmed';
  return [[name, distribute(settle(index, { ...before, stored: index, checked }), play.world)]];
}
