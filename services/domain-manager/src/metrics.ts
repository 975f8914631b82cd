import type { Clock } from '@keyfleet/shared/clock';
import { activeDomainKey } from '@keyfleet/shared/domain/state';
import { observeGauge } from '@keyfleet/shared/telemetry/meters';
import type { ResealPasses } from './reseal-passes.ts';
import type { Round } from './round.ts';
import type { TokenLog } from './token-log.ts';

export interface MetricsSource {
  readonly tokens: Pick<TokenLog, 'head'>;
  readonly resealing: Pick<ResealPasses, 'progress'>;
  readonly round: Pick<Round, 'views'>;
  readonly clock: Clock;
}

/** Metrics of rotation and resealing (docs/rotation.md). Only the leading replica sees resealing and workers. */
export function observeDomain({ tokens, resealing, round, clock }: MetricsSource): void {
  const state = () => tokens.head?.state;
  observeGauge('keyfleet.domain.generation', () => state()?.generation);
  observeGauge('keyfleet.domain.keys', () => state()?.domainKeys.length);
  observeGauge('keyfleet.domain.key.age', () => {
    const current = state();
    return current && (clock.now() - activeDomainKey(current).createdAt) / 1000;
  });
  observeGauge('keyfleet.domain.members.reachable', () => countMembers(round));
  observeGauge('keyfleet.reseal.shards.done', () => resealing.progress?.reports.size);
  observeGauge('keyfleet.reseal.shards', () => resealing.progress?.shards);
  observeGauge('keyfleet.reseal.pass', () => resealing.progress?.pass);
  observeGauge('keyfleet.reseal.resealed', () => resealing.progress?.resealed);
  observeGauge(
    'keyfleet.reseal.verified',
    () => resealing.progress && Number(resealing.progress.verifiedAt !== undefined),
  );
}

function countMembers({ views }: Pick<Round, 'views'>): number | undefined {
  return views.length === 0 ? undefined : views.filter(({ standing }) => standing === 'member').length;
}
