import { monotonicClock } from '@keyfleet/shared/clock';
import type { StatusResponse } from '@keyfleet/proto/gen/keyfleet/domain/v1/StatusResponse';
import type { Assembly } from './assembly.ts';
import { waitsFor } from './execute.ts';
import { SharedSurvey } from './worker-survey.ts';
import { mayAlone, refusalOf } from './scheduled-changes.ts';
import type { ServerDeps } from './server.ts';
import type { Rounds, RoundsDeps } from './start-rounds.ts';
import { statusOf } from './status.ts';
import { witnessOfBrought } from './witness.ts';

/** What the server needs to answer. */
export function servingOf(assembly: Assembly, deps: RoundsDeps, rounds: Rounds): ServerDeps {
  const { events, clock } = assembly;
  const { stored, notices, workers } = deps;
  const { tokens, watch, proposals, round, leader } = rounds;
  const survey = new SharedSurvey(workers, monotonicClock);
  return {
    tokens,
    proposals,
    events,
    status: () => loadStatus(assembly, { ...deps, survey }, rounds),
    witnessOf: (made) => witnessOfBrought(made, { tokens, proposals, workers, events, clock }),
    waitsFor: (change) => waitsFor(change, { views: round.views, tokens }),
    isServing: () => stored.redis.status === 'ready' && stored.guard.problem === undefined && watch.hadAll,
    onChange() {
      leader.wake();
      void notices.publish('proposal', {});
    },
  };
}

/** The leader's views are those of its last round; another replica asks the workers. */
async function loadStatus(
  { config, anchor, scheduler, replica }: Assembly,
  { stored, notices, survey }: RoundsDeps & { readonly survey: SharedSurvey },
  { tokens, watch, resealing, round }: Rounds,
): Promise<StatusResponse> {
  await tokens.refresh();
  const leader = await stored.store.findLeaseHolder();
  const state = tokens.head?.state;
  return statusOf({
    domain: anchor.domain,
    tokens,
    views: leader === replica ? round.views : await survey.take(tokens.head),
    replica,
    leader,
    rotateEveryMs: state && mayAlone(scheduler, 'RotateDomainKeys', state) ? config.rotation.every : undefined,
    reseal: state && (await resealing.find(state)),
    natsConnected: notices.connection() !== undefined,
    storeProblem: stored.guard.problem ?? watch.problem ?? '',
    schedulerProblem: (state && refusalOf(scheduler, state)) ?? '',
  });
}
