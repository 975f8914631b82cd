export interface Exploration {
  /** Distinct states reached. */
  readonly states: number;
  /** The shortest way to a state that breaks the promise; undefined when none is reachable. */
  readonly counterexample: readonly string[] | undefined;
}

type StepsOf<S> = (state: S) => readonly (readonly [name: string, next: S])[];

interface Walkable<S> {
  readonly initial: S;
  readonly stepsOf: StepsOf<S>;
  /** Equal for equal states. */
  readonly keyOf: (state: S) => string;
}

export interface Explorable<S> extends Walkable<S> {
  readonly holds: (state: S) => boolean;
}

interface Visited<S> {
  readonly state: S;
  /** The step that led here, from the state at index `before`. */
  readonly name: string;
  readonly before: number;
}

/** Visits every reachable state, nearest first. Stops at the first that breaks the promise. */
export function explore<S>({ holds, ...model }: Explorable<S>): Exploration {
  const { visited, indexes } = walk(model, holds);
  const broken = visited.length > 1 && !holds(visited.at(-1)!.state);
  return { states: indexes.size, counterexample: broken ? traceTo(visited, visited.length - 1) : undefined };
}

/**
 * The shortest way to a state from which no `helpful` steps lead to one that is `reached`: it can be held up for ever.
 * Visits every reachable state.
 */
export function exploreHeldUp<S>({
  helpful,
  reached,
  ...model
}: Walkable<S> & { readonly helpful: StepsOf<S>; readonly reached: (state: S) => boolean }): Exploration {
  const { visited, indexes } = walk(model, () => true);
  const cameFrom = visited.map((): number[] => []);
  for (const [index, { state }] of visited.entries()) {
    for (const [, next] of helpful(state)) cameFrom[indexes.get(model.keyOf(next))!]!.push(index);
  }
  const leads = new Set(visited.keys().filter((index) => reached(visited[index]!.state)));
  // A set that grows while it is read is read to its end.
  for (const index of leads) for (const before of cameFrom[index]!) leads.add(before);
  const stuck = visited.findIndex((_, index) => !leads.has(index));
  return { states: visited.length, counterexample: stuck < 0 ? undefined : traceTo(visited, stuck) };
}

function walk<S>(
  { initial, stepsOf, keyOf }: Walkable<S>,
  goesOn: (state: S) => boolean,
): { visited: Visited<S>[]; indexes: Map<string, number> } {
  const indexes = new Map([[keyOf(initial), 0]]);
  const visited: Visited<S>[] = [{ state: initial, name: 'start', before: -1 }];
  for (let at = 0; at < visited.length; at++) {
    for (const [name, state] of stepsOf(visited[at]!.state)) {
      const key = keyOf(state);
      if (indexes.has(key)) continue;
      indexes.set(key, visited.length);
      visited.push({ state, name, before: at });
      if (!goesOn(state)) return { visited, indexes };
    }
  }
  return { visited, indexes };
}

function traceTo(visited: readonly { name: string; before: number }[], end: number): string[] {
  const names: string[] = [];
  for (let at = end; at > 0; at = visited[at]!.before) names.unshift(visited[at]!.name);
  return names;
}
