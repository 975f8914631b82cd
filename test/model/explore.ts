export interface Exploration {
  /** Distinct states reached. */
  readonly states: number;
  /** The shortest way to a state that breaks the promise; undefined when none is reachable. */
  readonly counterexample: readonly string[] | undefined;
}

export interface Explorable<S> {
  readonly initial: S;
  readonly stepsOf: (state: S) => readonly (readonly [name: string, next: S])[];
  /** Equal for equal states. */
  readonly keyOf: (state: S) => string;
  readonly holds: (state: S) => boolean;
}

/** Visits every reachable state, nearest first. Stops at the first that breaks the promise. */
export function explore<S>({ initial, stepsOf, keyOf, holds }: Explorable<S>): Exploration {
  const seen = new Set([keyOf(initial)]);
  const queue: { state: S; name: string; before: number }[] = [{ state: initial, name: 'start', before: -1 }];
  for (let at = 0; at < queue.length; at++) {
    for (const [name, state] of stepsOf(queue[at]!.state)) {
      const key = keyOf(state);
      if (seen.has(key)) continue;
      seen.add(key);
      queue.push({ state, name, before: at });
      if (!holds(state)) return { states: seen.size, counterexample: traceTo(queue, queue.length - 1) };
    }
  }
  return { states: seen.size, counterexample: undefined };
}

function traceTo(queue: readonly { name: string; before: number }[], end: number): string[] {
  const names: string[] = [];
  for (let at = end; at > 0; at = queue[at]!.before) names.unshift(queue[at]!.name);
  return names;
}
