import { type Options, type Rate } from '../options.ts';
import { getScenario } from '../scenarios/catalog.ts';
import { type Part, readMix } from '../scenarios/mix.ts';
import type { ScenarioSettings } from '../scenarios/scenario.ts';

/** A scenario, or a mix of several, with its settings. */
export interface Work extends ScenarioSettings {
  readonly name: string;
  readonly parts: readonly Part[];
}

/** How a piece of work is loaded; a part of the peak becomes a rate when the peak is known. */
export type Load =
  | { readonly kind: 'closed'; readonly connections: number }
  | { readonly kind: 'open'; readonly connections: number; readonly rate: Rate };

/** Every scenario with every setting. */
export function worksOf(options: Pick<Options, 'scenarios' | 'mix' | 'payload' | 'context' | 'keys'>): Work[] {
  const single = options.scenarios.map((name) => ({ name, parts: [{ scenario: getScenario(name), weight: 1 }] }));
  const mixed = options.mix === undefined ? [] : [{ name: 'mix', parts: readMix(options.mix) }];
  return [...single, ...mixed].flatMap((named) =>
    options.keys.flatMap((keys) =>
      options.payload.flatMap((payload) => options.context.map((context) => ({ ...named, keys, payload, context }))),
    ),
  );
}

/** The closed loops first: the peak is theirs. Where only rates are asked for that need no peak, there are none. */
export function loadsOf({ connections, rates, search }: Pick<Options, 'connections' | 'rates' | 'search'>): Load[] {
  const needsPeak = rates.length === 0 || search !== undefined || rates.some((rate) => 'part' in rate);
  const most = Math.max(...connections);
  return [
    ...(needsPeak ? connections : []).map((count) => ({ kind: 'closed' as const, connections: count })),
    ...rates.map((rate) => ({ kind: 'open' as const, connections: most, rate })),
  ];
}
