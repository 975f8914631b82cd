/**
 * Which members a frontend uses, as a pure model, while somebody who controls Redis and the domain-managers shows it
 * whatever part of the chain suits him. The frontend restarts and forgets what it had in memory; it may also start on
 * an empty disk. Any member may be hostile: once it was removed it answers whoever asks. What members do with their
 * keys is domain-model.ts; who may make which token is fork-model.ts.
 */
export interface Guards {
  /** The newest token that the frontend relied on is on its disk, and it relies on no older one. */
  readonly floor: boolean;
  /** Nor on one that is older than the checkpoint in its trust anchor. */
  readonly checkpoint: boolean;
  /** It uses nobody while a member has proven a newer token than it can find. */
  readonly heeds: boolean;
  /** Nor while it knows a newer token that it could not take, as when its clock was wrong or its disk full. */
  readonly stops: boolean;
}

export interface Size {
  readonly members: number;
  readonly generations: number;
  /** Disks are lost. */
  readonly disks: boolean;
}

interface Frontend {
  /** The newest token that it follows; 0 after a start. */
  readonly view: number;
  /** On its disk. */
  readonly floor: number;
  /** The checkpoint of its trust anchor, as it read it when it started. */
  readonly anchor: number;
  /** The newest token that a member has proven to it since it started. */
  readonly told: number;
  /** The newest token that it verified since it started and could not take. */
  readonly untaken: number;
}

export interface State {
  /** Members by generation. */
  readonly tokens: readonly (readonly number[])[];
  /** The newest token that each member installed. */
  readonly installed: readonly number[];
  /** The checkpoint that operators hand out. */
  readonly checkpoint: number;
  readonly frontend: Frontend;
  /** What this frontend ever relied on, whether it remembers or not. A new machine never did. */
  readonly relied: number;
  /** The member that was just sent a command. */
  readonly used: number | undefined;
}

export type Step = readonly [name: string, next: State];

export function initialState({ members }: Size): State {
  const all = Array.from({ length: members }, (_, i) => i);
  return {
    tokens: [all],
    installed: all.map(() => 1),
    checkpoint: 0,
    frontend: { view: 0, floor: 0, anchor: 0, told: 0, untaken: 0 },
    relied: 0,
    used: undefined,
  };
}

export function keyOf(state: State): string {
  return JSON.stringify(state);
}

/** A member that was removed, by a token that the frontend ever relied on, is sent nothing. */
export function usesMembersOnly(state: State): boolean {
  return isMemberAt(state, state.relied);
}

/** Nor is one that was removed before the checkpoint with which the frontend started. */
export function followsAnchor(state: State): boolean {
  return isMemberAt(state, state.frontend.anchor);
}

/** Nor is one that was removed by a token which an honest member has proven to the frontend. */
export function heedsMembers(state: State): boolean {
  return isMemberAt(state, state.frontend.told);
}

/** Nor is one that was removed by a token which the frontend has verified. */
export function heedsTokens(state: State): boolean {
  return isMemberAt(state, state.frontend.untaken);
}

function isMemberAt({ tokens, used }: State, generation: number): boolean {
  return used === undefined || generation === 0 || tokens[generation - 1]!.includes(used);
}

export function stepsOf(state: State, guards: Guards, size: Size): Step[] {
  const { tokens, installed, checkpoint } = state;
  const before = { ...state, used: undefined };
  const newest = tokens.at(-1)!;
  const steps: Step[] = [];
  if (tokens.length < size.generations) {
    steps.push(['rotate', { ...before, tokens: [...tokens, newest] }]);
    for (const i of newest.length > 1 ? newest : []) {
      steps.push([`remove(${i})`, { ...before, tokens: [...tokens, newest.filter((member) => member !== i)] }]);
    }
  }
  installed.forEach((generation, i) => {
    const isThere = newest.includes(i) && generation < tokens.length;
    if (isThere) steps.push([`install(${i})`, { ...before, installed: installed.with(i, tokens.length) }]);
  });
  if (checkpoint < tokens.length) steps.push(['checkpoint', { ...before, checkpoint: tokens.length }]);
  return [...steps, ...frontendSteps(before, guards, size)];
}

function frontendSteps(state: State, guards: Guards, { disks }: Size): Step[] {
  const { tokens, installed, checkpoint, frontend, relied } = state;
  const { view, floor, anchor, told, untaken } = frontend;
  const become = (change: Partial<Frontend>): State => ({ ...state, frontend: { ...frontend, ...change } });
  const started = { view: 0, told: 0, untaken: 0, anchor: checkpoint };
  const steps: Step[] = [['restart', become(started)]];
  if (disks) steps.push(['a new machine', { ...become({ ...started, floor: 0 }), relied: 0 }]);

  const oldest = Math.max(view + 1, guards.floor ? floor : 0, guards.checkpoint ? anchor : 0);
  for (let generation = oldest; generation <= tokens.length; generation++) {
    const next = become({ view: generation, floor: generation });
    steps.push([`is shown ${generation}`, { ...next, relied: Math.max(relied, generation) }]);
    if (generation > untaken) steps.push([`cannot take ${generation}`, become({ untaken: generation })]);
  }
  installed.forEach((generation, i) => {
    if (generation > told) steps.push([`meets(${i})`, become({ told: generation })]);
  });
  const isBehind = (guards.heeds && told > view) || (guards.stops && untaken > view);
  for (const i of isBehind ? [] : (tokens[view - 1] ?? [])) steps.push([`use(${i})`, { ...state, used: i }]);
  return steps;
}
