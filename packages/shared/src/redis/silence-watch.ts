import { type Clock, monotonicClock } from '../clock.ts';
import { isCluster, type RedisClient } from './connect.ts';
import { infoOf, onlineReplicas } from './durability.ts';

/** Sentinels promote another master after five seconds (deploy/redis/sentinel.sh). */
const SILENT_MS = 4_000;
/** By then Sentinels have had all replicas follow the new one. */
const FAILOVER_MS = 10_000;

/**
 * Whether a master was silent for so long that another may have been promoted. If it goes on after that, it is followed
 * for a moment by the replicas that were not promoted, and one of them has what the new master lacks: until that is
 * over a write is acknowledged only if all have it (docs/decisions/0021). What this process has not seen itself it does
 * not know, and of the nodes of a Redis Cluster it asks none.
 */
export class SilenceWatch {
  readonly #client: RedisClient;
  readonly #clock: Clock;
  /** The process that answered last, when, and how many replicas it had. */
  #master = { runId: '', answeredAt: -Infinity, replicas: 0 };
  #doubtfulUntil = -Infinity;

  constructor(client: RedisClient, clock: Clock = monotonicClock) {
    this.#client = client;
    this.#clock = clock;
  }

  /** How many replicas must have a write, if another master may have been promoted; else 0. */
  get replicas(): number {
    const now = this.#clock.now();
    const { answeredAt, replicas } = this.#master;
    return now > answeredAt + SILENT_MS || now < this.#doubtfulUntil ? replicas : 0;
  }

  /** Call it each second. Rejects with the connection's error if Redis does not answer. */
  async look(): Promise<void> {
    if (isCluster(this.#client)) return;
    const asked = [infoOf(this.#client, 'server'), infoOf(this.#client, 'replication')] as const;
    const [{ run_id: runId = '' }, replication] = await Promise.all(asked);
    const now = this.#clock.now();
    const before = this.#master;
    if (runId !== before.runId) this.#doubtfulUntil = -Infinity;
    else if (now > before.answeredAt + SILENT_MS) this.#doubtfulUntil = now + FAILOVER_MS;
    const isDoubtful = now < this.#doubtfulUntil;
    this.#master = { runId, answeredAt: now, replicas: isDoubtful ? before.replicas : onlineReplicas(replication) };
  }
}
