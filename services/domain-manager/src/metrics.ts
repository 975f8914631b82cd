import type { Clock } from '@keyfleet/shared/clock';
import { activeDomainKey } from '@keyfleet/shared/domain/state';
import { observeGauge } from '@keyfleet/shared/telemetry/meters';
import type { Leader } from './leader.ts';
import type { ResealPasses } from './reseal-passes.ts';
import type { Round } from './round.ts';
import type { TokenLog } from './token-log.ts';
import type { TokenWatch } from './token-watch.ts';

export interface MetricsSource {
  readonly tokens: Pick<TokenLog, 'head'>;
  readonly watch: Pick<TokenWatch, 'problem'>;
  readonly resealing: Pick<ResealPasses, 'progress'>;
  readonly round: Pick<Round, 'views'>;
  readonly leader: Pick<Leader, 'leads'>;
  readonly clock: Clock;
}

/** Metrics of rotation and resealing (docs/rotation.md). Only the leading replica sees resealing and workers. */
export function observeDomain({ tokens, watch, resealing, round, leader, clock }: MetricsSource): void {
  const state = () => tokens.head?.state;
  const views = () => (leader.leads ? round.views : []);
  const progress = () => (leader.leads ? resealing.progress : undefined);
  observeGauge('keyfleet.domain.generation', () => state()?.generation);
  observeGauge('keyfleet.domain.stored', () => Number(watch.problem === undefined));
  observeGauge('keyfleet.domain.keys', () => state()?.domainKeys.length);
  observeGauge('keyfleet.domain.key.age', () => {
    const current = state();
    return current && (clock.now() - activeDomainKey(current).createdAt) / 1000;
  });
  observeGauge('keyfleet.domain.workers', () => views().length || undefined);
  observeGauge('keyfleet.domain.members.reachable', () => countMembers(views()));
  observeGauge('keyfleet.reseal.shards.done', () => progress()?.reports.size);
  observeGauge('keyfleet.reseal.shards', () => progress()?.shards);
  observeGauge('keyfleet.reseal.pass', () => progress()?.pass);
  observeGauge('keyfleet.reseal.resealed', () => progress()?.resealed);
  observeGauge('keyfleet.reseal.verified', () => {
    const current = progress();
    return current && Number(current.verifiedAt !== undefined);
  });
}

function countMembers(views: Round['views']): number | undefined {
  return views.length === 0 ? undefined : views.filter(({ standing }) => standing === 'member').length;
}
