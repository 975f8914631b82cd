import { HsmRefusedError } from '@keyfleet/frontend/hsm/commands';
import type { WorkerPool } from '@keyfleet/frontend/hsm/pool';
import { systemClock } from '@keyfleet/shared/clock';
import type { VerifiedDomain } from '@keyfleet/shared/domain/state';
import { domainKeyIdOf } from '@keyfleet/shared/hsm/exported-key-token';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import type { Progress } from '../progress.ts';
import { pagesOfAllNames } from '../redis-option.ts';
import { holdsTokens, loadTokens } from '../stored-tokens.ts';

/** Tokens in parallel. Few, because customers' requests share the workers and Redis. */
const BATCH = 64;
/** As many commands as the workers may have of this. */
export const MAX_IN_FLIGHT = 2 * BATCH;
/** Between two batches: at most about a thousand tokens a second. */
const PAUSE_MS = 50;
const COMMAND_TIMEOUT_MS = 10_000;

export interface OpeningOptions {
  readonly redis: RedisClient;
  /** The workers, in a session of a service host: they open tokens for nobody else. */
  readonly hsm: WorkerPool;
  readonly domain: VerifiedDomain;
  readonly progress: Progress;
}

export interface Opened {
  readonly tokens: number;
  /** Names of values whose tokens do not open, with the errors. */
  readonly failed: readonly string[];
}

/**
 * Has the workers open every stored token: no secret arrives here. A key's token must also be
 * for this key, account and material.
 */
export async function openAllTokens({ redis, hsm, domain, progress }: OpeningOptions): Promise<Opened> {
  const failed: string[] = [];
  let [tokens, values] = [0, 0];
  for await (const names of pagesOfAllNames(redis)) {
    const sealed = names.filter(holdsTokens);
    for (let at = 0; at < sealed.length; at += BATCH) {
      const batch = sealed.slice(at, at + BATCH);
      const opened = await Promise.all(batch.map((name) => openTokensAt(name, { redis, hsm, domain })));
      for (const [i, { count, problem }] of opened.entries()) {
        tokens += count;
        if (problem !== undefined) failed.push(`${batch[i]} (${problem})`);
      }
      values += batch.length;
      progress.tell(() => `stored material: ${values} values checked`);
      await delay(PAUSE_MS);
    }
  }
  return { tokens, failed };
}

type Tools = Omit<OpeningOptions, 'progress'>;

async function openTokensAt(name: string, tools: Tools): Promise<{ count: number; problem?: string }> {
  try {
    return { count: await openTokens(name, tools) };
  } catch (error) {
    return { count: 0, problem: problemOf(error) };
  }
}

/** Names the member whose word it is: it may be broken or hostile. */
function problemOf(error: unknown): string {
  if (error instanceof z.ZodError) return 'not a record';
  const { message } = error as Error;
  return error instanceof HsmRefusedError && error.memberId ? `${message}, says ${error.memberId}` : message;
}

async function openTokens(name: string, { redis, hsm, domain }: Tools): Promise<number> {
  const deadline = systemClock.now() + COMMAND_TIMEOUT_MS;
  const tokens = await loadTokens(redis, name);
  for (const { token, of } of tokens) {
    assertOfDomain(token, domain);
    if (of === undefined) {
      // The result is sealed again, whatever the token was sealed under.
      await hsm.execute('ResealToken', { token }, deadline);
      continue;
    }
    const { keyId, account, materialId } = of;
    const described = await hsm.execute('DescribeBackingKey', { keyId, account, token }, deadline);
    if (Buffer.from(described.materialId).toString('hex') !== materialId) throw new Error('it is different material');
  }
  return tokens.length;
}

/** Otherwise workers would wait for a domain token that brings the key. Throws FormatError if this is not a token. */
function assertOfDomain(token: Uint8Array, { state }: VerifiedDomain): void {
  const id = domainKeyIdOf(token);
  if (state.domainKeys.every((key) => key.id !== id))
    throw new Error('sealed under a domain key that the domain does not have');
}
