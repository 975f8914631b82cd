import type { ChannelCredentials } from '@grpc/grpc-js';
import type { KeyObject } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { WorkerPool } from '@keyfleet/frontend/hsm/pool';
import { newWorkerClient } from '@keyfleet/frontend/hsm/worker-client';
import { systemClock } from '@keyfleet/shared/clock';
import type { VerifiedDomain } from '@keyfleet/shared/domain/state';
import { CliError } from './cli-error.ts';

const READY_TIMEOUT_MS = 10_000;
/** How long a second worker is waited for, which confirms what the first one says. */
const SECOND_TIMEOUT_MS = 2_000;

export interface PoolOptions {
  readonly domain: VerifiedDomain;
  /** Addresses of hsm-workers. */
  readonly workers: readonly string[];
  readonly credentials: ChannelCredentials;
  /** A service host of the domain: workers serve nobody else. */
  readonly host: { readonly operatorId: string; readonly privateKey: KeyObject };
  readonly maxInFlight: number;
}

/** Workers in this command's own session. Throws CliError if none accepts it. */
export async function openPool({ domain, workers, credentials, host, maxInFlight }: PoolOptions): Promise<WorkerPool> {
  const known = { verified: domain, refresh: () => Promise.resolve(), noteNewer: () => {} };
  const settings = { clock: systemClock, maxInFlight, onProblem: () => {} };
  const clients = workers.map((address) => newWorkerClient(address, credentials));
  const pool = new WorkerPool({ workers: clients, host, domain: known, ...settings });
  const wanted = Math.min(2, workers.length);
  for (const startedAt = performance.now(); pool.ready < wanted; await delay(50)) {
    const waited = performance.now() - startedAt;
    if (pool.ready > 0 && waited >= SECOND_TIMEOUT_MS) break;
    if (waited < READY_TIMEOUT_MS) continue;
    await pool[Symbol.asyncDispose]();
    throw new CliError(
      `no hsm-worker accepts a session of ${host.operatorId}: it must be a service host of the domain, with this key`,
    );
  }
  return pool;
}
