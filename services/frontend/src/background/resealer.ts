import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '@keyfleet/shared/clock';
import { activeDomainKey, type DomainState } from '@keyfleet/shared/domain/state';
import { domainKeyIdOf } from '@keyfleet/shared/hsm/exported-key-token';
import type { Notices } from '@keyfleet/shared/notices';
import { fewAtOnce } from '@keyfleet/shared/few-at-once';
import { readAhead } from '@keyfleet/shared/read-ahead';
import { type ResealItem, resealQueue } from '@keyfleet/shared/reseal-queue';
import type { HsmCommands } from '../hsm/commands.ts';
import { type Found, OvertakenError, type Parts } from './reseal-parts.ts';

/** A stored record with everything in it that is sealed under a domain key. */
export interface SealedRecord {
  /** For logs. */
  readonly name: string;
  readonly tokens: readonly Uint8Array[];
  /** For a KMS key's record: the account that its tokens must be bound to. */
  readonly account?: string;
  /** Replaces the tokens that were read with `tokens`, in the same order. False if the record has changed since. */
  replace(tokens: readonly Uint8Array[]): Promise<boolean>;
}

/** Everything stored that holds tokens. */
export interface SealedRecords {
  /** Those of these names that exist and hold tokens. */
  load(names: readonly string[]): Promise<readonly SealedRecord[]>;
}

export interface ResealerDeps extends ResealDeps {
  readonly notices: Pick<Notices, 'connection'>;
  readonly onProblem: (problem: unknown) => void;
}

/**
 * Takes shards from the work queue while this frontend serves, and reports its findings to the domain-manager through
 * Redis.
 */
export function startResealer(deps: ResealerDeps): AsyncDisposable {
  const { notices, onProblem } = deps;
  const stop = new AbortController();
  const work = async (item: ResealItem, alive: () => void): Promise<void> => {
    try {
      await resealShard(item, deps, { alive, stop: stop.signal });
    } catch (error) {
      if (!(error instanceof OvertakenError)) throw error;
    }
  };
  const worker = resealQueue.startWorker(notices, work, (problem) => {
    if (!(problem instanceof NotNowError)) onProblem(problem);
  });
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await worker[Symbol.asyncDispose]();
    },
  };
}

/** How many at once: customers' requests share the same workers and the same Redis. */
const CONCURRENCY = 64;
const COMMAND_TIMEOUT_MS = 5_000;
/** Records in memory, twice: one may have a megabyte. */
const BATCH = 128;
/** Giving up on a part makes the pass prove nothing, so Redis may be away for a while first. */
const LOAD_TRIES = 30;
const LOAD_RETRY_MS = 1_000;
/** In succession. The others are fifteen at most, and whoever took a part is busy with it for a while. */
const MISSES = 100;

const NOTHING: Found = { resealed: 0, remaining: 0 };

export interface ResealDeps {
  readonly parts: Parts;
  readonly records: SealedRecords;
  readonly hsm: HsmCommands;
  readonly domainState: () => DomainState | undefined;
  readonly clock: Clock;
  /**
   * Called for a record that stays as it was, and why. The pass does not end the resealing, and another one tries
   * again.
   */
  readonly onLeft: (name: string, error: unknown) => void;
}

/**
 * The item must be delivered again, here or to another frontend: this one has not seen its domain state yet, or is
 * stopping.
 */
export class NotNowError extends Error {
  override name = 'NotNowError';
}

/**
 * Works on one shard of a pass until no parts are left to take. It may be interrupted anywhere and repeated any number
 * of times: a token is replaced only by the same secret under the active domain key, and only if the record is still
 * the one that was read. It calls `alive` now and then; once `stop` is aborted, it ends after its present part with
 * NotNowError. If others take each part first, it throws another error: the item is tried again after a pause.
 */
export async function resealShard(
  item: ResealItem,
  deps: ResealDeps,
  { alive, stop }: { alive: () => void; stop: AbortSignal },
): Promise<void> {
  if (activeKeyOf(item, deps) === undefined) return;
  const parts = await deps.parts.open(item);
  let misses = 0;
  for (let found = NOTHING; parts !== undefined;) {
    alive();
    // A later rotation has made this item pointless.
    const activeId = activeKeyOf(item, deps);
    if (activeId === undefined) return;
    if (stop.aborted || misses === MISSES) {
      await parts.leave(found);
      throw stop.aborted ? new NotNowError('this frontend is stopping') : new Error('others took each part first');
    }
    const names = await parts.next(found);
    if (names === undefined) return;
    misses = names === 'missed' ? misses + 1 : 0;
    found = names === 'missed' ? NOTHING : await resealPart(names, activeId, { ...deps, alive });
  }
}

/** Undefined if a later rotation was seen. Throws NotNowError if the item's own rotation was not. */
function activeKeyOf({ generation }: ResealItem, { domainState }: ResealDeps): string | undefined {
  const state = domainState();
  const active = state && activeDomainKey(state);
  if (active === undefined || active.createdGeneration < generation) throw new NotNowError('not there yet');
  return active.createdGeneration > generation ? undefined : active.id;
}

type PartDeps = ResealDeps & { readonly alive: () => void };

async function resealPart(names: readonly string[], activeId: string, deps: PartDeps): Promise<Found> {
  const total = { resealed: 0, remaining: 0 };
  for await (const batch of readAhead(batchesOf(names, deps))) {
    deps.alive();
    const old = batch.filter(({ tokens }) => tokens.some((token) => isOld(token, activeId)));
    for (const done of await fewAtOnce(old, CONCURRENCY, (record) => resealRecord(record, activeId, deps))) {
      total.resealed += done.resealed;
      total.remaining += done.remaining;
    }
  }
  return total;
}

async function* batchesOf(names: readonly string[], deps: PartDeps): AsyncGenerator<readonly SealedRecord[]> {
  for (let from = 0; from < names.length; from += BATCH) yield await load(names.slice(from, from + BATCH), deps);
}

async function load(names: readonly string[], { records, alive }: PartDeps): Promise<readonly SealedRecord[]> {
  for (let tries = 1; ; tries++) {
    try {
      return await records.load(names);
    } catch (error) {
      if (tries === LOAD_TRIES) throw error;
      await delay(LOAD_RETRY_MS);
      alive();
    }
  }
}

async function resealRecord(record: SealedRecord, activeId: string, deps: ResealDeps): Promise<Found> {
  const old = record.tokens.filter((token) => isOld(token, activeId)).length;
  try {
    const deadline = deps.clock.now() + COMMAND_TIMEOUT_MS;
    const account = record.account === undefined ? {} : { account: record.account };
    const tokens = await Promise.all(
      record.tokens.map(async (token) =>
        isOld(token, activeId) ? (await deps.hsm.execute('ResealToken', { token, ...account }, deadline)).token : token,
      ),
    );
    // A worker that does not seal under the new key yet answers in good faith, but with a useless token.
    if (tokens.some((token) => isOld(token, activeId)))
      throw new Error('a worker does not use the active domain key yet');
    if (!(await record.replace(tokens))) throw new Error('the record changed meanwhile');
    return { resealed: old, remaining: 0 };
  } catch (error) {
    deps.onLeft(record.name, error);
    return { resealed: 0, remaining: old };
  }
}

/** A malformed token counts as old, so it is never taken as proof that a domain key is not needed. */
function isOld(token: Uint8Array, activeId: string): boolean {
  try {
    return domainKeyIdOf(token) !== activeId;
  } catch {
    return true;
  }
}
