import { monotonicClock } from '@keyfleet/shared/clock';
import { dueQueue } from '@keyfleet/shared/due-queue';
import type { Notices } from '@keyfleet/shared/notices';
import { publishResealItems } from '@keyfleet/shared/reseal-queue';
import type { Assembly } from './assembly.ts';
import { DueWork } from './due-work.ts';
import { Leader } from './leader.ts';
import { observeDomain } from './metrics.ts';
import { Proposals } from './proposals.ts';
import { ResealPasses } from './reseal-passes.ts';
import { Round } from './round.ts';
import { refusalOf } from './scheduled-changes.ts';
import { Sightings } from './sightings.ts';
import type { GuardedStore } from './store/start-store.ts';
import { TokenLog } from './token-log.ts';
import { TokenWatch } from './token-watch.ts';
import { isClockRefused } from './worker-survey.ts';
import type { Worker } from './workers.ts';

export interface RoundsDeps {
  readonly stored: GuardedStore;
  readonly notices: Notices;
  readonly workers: readonly Worker[];
}

export interface Rounds {
  readonly tokens: TokenLog;
  readonly watch: TokenWatch;
  readonly proposals: Proposals;
  readonly resealing: ResealPasses;
  readonly round: Round;
  readonly leader: Leader;
}

/** The stored domain, and the rounds that advance it while this replica leads. */
export function startRounds(assembly: Assembly, { stored, notices, workers }: RoundsDeps): Rounds {
  const { config, anchor, scheduler, replica, clock, events, resources } = assembly;
  const { redis, guard, store } = stored;
  const onRestored = (from: number, to: number): void => events.tokensRestored(from, to);
  const onPutBack = (generation: number): void => events.tokenPutBack(generation);
  const tokens = new TokenLog({ store, anchor, clock, monotonicClock, onRestored, onPutBack });
  const watch = resources.use(new TokenWatch({ tokens, events }));
  const proposals = new Proposals({ store, tokens, anchor, clock });
  const onProblem = (problem: unknown): void => events.workNotQueued(problem);
  const resealing = new ResealPasses({
    store,
    clock,
    monotonicClock,
    publish: (items, attempt) => publishResealItems(notices, items, { attempt, onProblem }),
  });
  const dueWork = new DueWork({
    clock,
    everyMs: config.dueWork.every,
    publish: (items, period) =>
      dueQueue.publish(notices, items, { idOf: ({ shard }) => `${period}/${shard}`, onProblem }),
  });
  const rotateEveryMs = config.rotation.every;
  const sightings = new Sightings({ tokens, store, scheduler, clock, monotonicClock });
  const kept = { tokens, store, proposals, resealing, sightings, dueWork };
  const round = new Round({ ...kept, workers, notices, clock, events, scheduler, rotateEveryMs });
  const leadRound = async (): Promise<void> => {
    await guard.assertOurs(redis);
    await round.run();
    // Whatever a round may have written counts as written, so that an older store is noticed here too.
    guard.wrote();
  };
  const known = () => tokens.head && refusalOf(scheduler, tokens.head.state);
  const unfit = async (): Promise<string | undefined> => {
    // It may have been admitted again, and only a replica that leads reads the tokens by itself.
    if (known() !== undefined) await tokens.refresh();
    return known();
  };
  const hindered = (): string | undefined =>
    isClockRefused(round.views) ? 'its clock is minutes from those of most members in reach' : undefined;
  const leading = { unfit, hindered, round: leadRound };
  const leader = resources.use(new Leader({ lease: store, replica, ...leading, events, monotonicClock }));
  observeDomain({ tokens, watch, resealing, round, leader, clock });
  notices.subscribe('proposal', () => leader.wake());
  return { tokens, watch, proposals, resealing, round, leader };
}
