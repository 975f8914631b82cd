import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { growthTrouble, logBytes } from '../audit/growing-files.ts';
import type { AuditFile } from '../audit/sink.ts';
import type { Provisioning } from '../background/first-administrator.ts';
import type { DomainView } from '../hsm/domain-view.ts';
import type { WorkerPool } from '../hsm/pool.ts';
import type { ChangeFeed } from '../store/change-feed.ts';
import type { RedisConnections, Stores } from '../store/start-store.ts';
import type { Readiness } from './http.ts';

/** The parts of a frontend that `/readyz` reports on. */
export interface ReadinessParts {
  readonly domain: DomainView;
  readonly pool: WorkerPool;
  readonly connections: RedisConnections;
  readonly stores: Stores;
  readonly auditFile: AuditFile;
  readonly administrator: Provisioning | undefined;
}

/** The answer of `/readyz`. */
export function readinessOf(parts: ReadinessParts): Readiness {
  const { domain, pool, connections, stores, auditFile, administrator } = parts;
  const { client, durability } = connections;
  const { problem, state } = domain;
  return {
    domain: problem === undefined ? { ok: true, detail: `generation ${state?.generation}` } : missing(problem),
    hsmWorkers:
      pool.ready === 0 ? missing('no session with any hsm-worker yet') : { ok: true, detail: `${pool.ready} in use` },
    redis: redisReadiness(client, stores.feed, durability.refusal ?? stores.guard.problem),
    auditFile: auditReadiness(auditFile),
    log: withTrouble(growthTrouble('its log', logBytes())),
    ...(administrator && { firstAdministrator: administrator.done ? { ok: true } : missing('not made yet') }),
  };
}

function auditReadiness({ isFull, fileBytes }: AuditFile) {
  if (isFull) return missing('records are waiting for the disk; nothing is done that could not be recorded');
  return withTrouble(growthTrouble('its audit file', fileBytes));
}

function withTrouble(trouble: string | undefined) {
  return { ok: true, ...(trouble !== undefined && { trouble }) };
}

export function redisReadiness(
  client: Pick<RedisClient, 'status'>,
  feed: Pick<ChangeFeed, 'servesLastKnown' | 'believesReads'>,
  refusal: string | undefined,
) {
  if (refusal === undefined && feed.servesLastKnown) return { ok: true, detail: 'away; keys in memory are served' };
  if (client.status !== 'ready') return missing(`not connected (${client.status})`);
  if (refusal !== undefined) return missing(refusal);
  if (!feed.believesReads) return missing('it takes no writes: it lacks replicas, or another node took its place');
  return { ok: true };
}

function missing(detail: string) {
  return { ok: false, detail };
}
