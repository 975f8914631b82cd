/**
 * What becomes of a removal, as a pure model. Operators have signed that member 0 goes. A domain-manager has a member
 * that stays make the token, which has a new domain key, waits, has everything resealed and has the older key retired;
 * later people drop it. Somebody writes the store: he marks the removal as done or failed, and makes up what passes
 * found and how long the token was served. And one worker lies to the domain-manager: about who it is and under which
 * key it seals. It may also seal under the older key for as long as it likes. Who confirms the token is
 * next-token-model.ts, and what frontends and members do by themselves domain-model.ts. docs/domain.md tells the same
 * in words.
 */
export interface Guards {
  /** The command line says that a removal is done when the chain holds its token. */
  readonly chain: boolean;
  /** Until then the domain-manager carries it out, whatever the store says of it. */
  readonly proves: boolean;
  /** It asks every worker that says that it is the preparer. */
  readonly every: boolean;
  /** What workers say of themselves is waited for no longer than it takes to change over. */
  readonly patience: boolean;
  /** The pass that counts begins when nothing can be stored under the older key any more. */
  readonly wait: boolean;
  /** How long the token was served is signed. */
  readonly signed: boolean;
  /** Whoever drops a domain key counts what is under it, and believes no report. */
  readonly counts: boolean;
}

export interface World {
  readonly members: number;
  /** The worker that lies. */
  readonly liar?: number;
  /** Somebody alters what every worker says. */
  readonly altered?: boolean;
  /** Somebody writes the store. */
  readonly writer?: boolean;
}

/** In a worker's own words. */
interface Said {
  /** A member; -1 for none. */
  readonly who: number;
  readonly seals: number;
}

export interface State {
  /** The store says that the removal is done, or that it failed. */
  readonly marked: boolean;
  /** The preparers for whom the domain-manager gave it up. */
  readonly refused: readonly number[];
  /** The command line said Done before the chain held the removal. */
  readonly told: boolean;
  readonly removed: boolean;
  readonly installed: readonly boolean[];
  /** What counts for the liar, or for all. */
  readonly said: readonly Said[];
  /** The older of the domain keys that anything stored is under: 1, or 2 for the newer; 0 for nothing. */
  readonly stored: number;
  /** A frontend has a token under the older key in its hands. */
  readonly late: boolean;
  /** Since the removal, in times that it takes to change over. */
  readonly time: number;
  /** How much of it the domain-manager counts. */
  readonly served: number;
  /** It has a pass that counts. */
  readonly proven: boolean;
  readonly retired: boolean;
  readonly dropped: boolean;
}

export type Step = readonly [name: string, next: State];

export function initialState({ members }: World): State {
  const all = Array.from({ length: members }, (_, i) => i);
  return {
    marked: false,
    refused: [],
    told: false,
    removed: false,
    installed: all.map(() => false),
    said: all.map((who) => ({ who, seals: 1 })),
    stored: 0,
    late: false,
    time: 0,
    served: 0,
    proven: false,
    retired: false,
    dropped: false,
  };
}

export function keyOf(state: State): string {
  return JSON.stringify(Object.values(state));
}

export function isToldTheTruth({ told }: State): boolean {
  return !told;
}

/** Nothing that is stored is under a key that opens nothing. */
export function isOpenable({ stored, retired, dropped }: State): boolean {
  return stored !== 1 || !(retired || dropped);
}

/** Nothing that is stored is under a key that is gone. Operators can reinstate one that is retired. */
export function isKept({ stored, dropped }: State): boolean {
  return stored !== 1 || !dropped;
}

/** No key is retired while something may still come under it. */
export function isRetiredInTime({ retired, time }: State): boolean {
  return !retired || time === 2;
}

export function stepsOf(state: State, guards: Guards, world: World): Step[] {
  return [...protocolSteps(state, guards, world), ...chances(state, guards, world), ...lies(state, guards, world)];
}

/** What services do when nobody keeps them from it. */
export function protocolSteps(state: State, guards: Guards, world: World): Step[] {
  const { removed, installed, stored, time, served, proven, retired, late } = state;
  if (!removed) return removalSteps(state, guards, world);
  const steps: Step[] = [];
  staying(world).forEach((i) => {
    if (!installed[i]) steps.push([`install(${i})`, { ...state, installed: installed.with(i, true) }]);
  });
  if (served < 2) {
    const next = Math.min(time + 1, 2);
    steps.push(['time passes', { ...state, time: next, served: served + 1, late: late && next < 2 }]);
  }
  if (mayReseal(state, guards, world)) {
    const canReseal = stored === 1 && !retired && staying(world).some((i) => installed[i]);
    if (canReseal) steps.push(['reseal', { ...state, stored: 2 }]);
    if (stored !== 1 && mayProve(state, guards)) steps.push(['pass', { ...state, proven: true }]);
  }
  const maker = staying(world).find((i) => installed[i] && isMadeBy(i, state, guards, world));
  if (proven && !retired && maker !== undefined) steps.push(['retire', { ...state, retired: true }]);
  return steps;
}

function removalSteps(state: State, guards: Guards, world: World): Step[] {
  if (state.marked && !guards.proves) return [];
  return staying(world).flatMap((preparer): Step[] => {
    if (state.refused.includes(preparer) || candidates(preparer, state, world).length === 0) return [];
    if (isMadeBy(preparer, state, guards, world))
      return [[`remove by ${preparer}`, { ...state, removed: true, marked: false, refused: [] }]];
    return [[`give up ${preparer}`, { ...state, refused: [...state.refused, preparer].toSorted((a, b) => a - b) }]];
  });
}

function staying({ members }: World): number[] {
  return Array.from({ length: members - 1 }, (_, i) => i + 1);
}

/** The workers that say that they are that member, in the order in which they are asked. */
function candidates(who: number, { said, installed }: State, world: World): number[] {
  return installed.map((_, i) => i).filter((i) => (lying(i, world) ? said[i]!.who : i) === who);
}

function isMadeBy(preparer: number, state: State, { every }: Guards, world: World): boolean {
  const there = candidates(preparer, state, world);
  const asked = every ? there : there.slice(0, 1);
  return asked.includes(preparer) && preparer !== world.liar;
}

function lying(i: number, { liar, altered }: World): boolean {
  return altered === true || i === liar;
}

/** Whether every member says that it seals under the newer key, or had the time to change over. */
function mayReseal({ said, installed, served }: State, { patience }: Guards, world: World): boolean {
  if (patience && served > 0) return true;
  const views = installed.map((has, i) => (lying(i, world) ? said[i]! : { who: i, seals: has ? 2 : 1 }));
  const members = views.filter(({ who }) => who > 0);
  return members.length > 0 && members.every(({ seals }) => seals === 2);
}

function mayProve({ proven, served }: State, { wait }: Guards): boolean {
  return !proven && (!wait || served === 2);
}

/** Customers, people, and time that no domain-manager sees. */
function chances(state: State, { counts }: Guards, world: World): Step[] {
  const { removed, installed, stored, late, time, proven, dropped } = state;
  const steps: Step[] = [];
  // Frontends store nothing under a key that went out of use longer ago.
  const someSealUnderOld = installed.some((has, i) => !has || i === world.liar);
  if (time === 0 && someSealUnderOld && !late) steps.push(['seal under 1', { ...state, late: true }]);
  if (late) steps.push(['write', { ...state, stored: 1, late: false }]);
  if (stored === 0 && staying(world).some((i) => installed[i])) steps.push(['seal under 2', { ...state, stored: 2 }]);
  if (removed && time < 2) steps.push(['time passes unseen', { ...state, time: time + 1, late: late && time === 0 }]);
  const mayDrop = time === 2 && !dropped && (counts ? stored !== 1 : proven);
  if (mayDrop) steps.push(['drop', { ...state, dropped: true }]);
  return steps;
}

function lies(state: State, guards: Guards, world: World): Step[] {
  const { members, writer } = world;
  const who = (i: number): number[] => [
    -1,
    ...(i === world.liar ? Array.from({ length: members }, (_, of) => of) : [i]),
  ];
  const steps = state.said.flatMap((_, i): Step[] =>
    lying(i, world)
      ? who(i).flatMap((one) =>
          [1, 2].map((seals): Step => {
            const said = state.said.with(i, { who: one, seals });
            return [`${i} says ${one}, ${seals}`, { ...state, said }];
          }),
        )
      : [],
  );
  return writer ? [...steps, ...writes(state, guards)] : steps;
}

function writes(state: State, guards: Guards): Step[] {
  const steps: Step[] = [];
  if (!state.removed) {
    steps.push(['he marks it', { ...state, marked: true }]);
    // A domain-manager that lies may say so as well.
    if (!guards.chain) steps.push(['the command line says Done', { ...state, told: true }]);
    return steps;
  }
  if (mayProve(state, guards)) steps.push(['he reports', { ...state, proven: true }]);
  steps.push(['he takes the time served away', { ...state, served: 0 }]);
  if (!guards.signed) steps.push(['he makes up the time served', { ...state, served: 2 }]);
  return steps;
}
