import type { Clock } from '@keyfleet/shared/clock';
import { activeDomainKey, type DomainState } from '@keyfleet/shared/domain/state';
import { domainKeyIdOf } from '@keyfleet/shared/hsm/exported-key-token';
import { readAhead } from '@keyfleet/shared/read-ahead';
import type { ResealItem, ShardReport } from '@keyfleet/shared/reseal-queue';
import type { HsmCommands } from '../hsm/commands.ts';
import type { SealedRecord, SealedRecords } from './sealed-records.ts';

/** At once: customers' requests share the same workers and the same Redis. */
const CONCURRENCY = 64;
const COMMAND_TIMEOUT_MS = 5_000;

export interface ResealDeps {
  readonly records: SealedRecords;
  readonly hsm: HsmCommands;
  readonly domainState: () => DomainState | undefined;
  readonly clock: Clock;
  /** A record that stays as it was, and why: the pass does not end the resealing, and another one tries again. */
  readonly onLeft: (name: string, error: unknown) => void;
}

/** This frontend has not seen the domain state of the item yet: the item must come again. */
export class NotThereYetError extends Error {
  override name = 'NotThereYetError';
}

/**
 * One pass over one shard. May be cut off anywhere and repeated any number of times: a token is replaced only by the same secret under
 * the active domain key, and only if the record is still the one that was read. Undefined: a later rotation made the item pointless.
 */
export async function resealShard(
  item: ResealItem,
  deps: ResealDeps,
  alive: () => void,
): Promise<ShardReport | undefined> {
  const state = deps.domainState();
  const active = state && activeDomainKey(state);
  if (active === undefined || active.createdGeneration < item.generation) throw new NotThereYetError('not there yet');
  if (active.createdGeneration > item.generation) return undefined;
  const total = { resealed: 0, remaining: 0 };
  for await (const batch of readAhead(deps.records.scan(item.shard, item.shards))) {
    alive();
    const old = batch.filter(({ tokens }) => tokens.some((token) => isOld(token, active.id))).entries();
    // Each takes the next record when it is done with one, so that none waits for the slowest.
    const lane = async () => {
      for (const [index, record] of old) {
        if (index % CONCURRENCY === CONCURRENCY - 1) alive();
        const done = await resealRecord(record, active.id, deps);
        total.resealed += done.resealed;
        total.remaining += done.remaining;
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, lane));
  }
  return total;
}

async function resealRecord(record: SealedRecord, activeId: string, deps: ResealDeps): Promise<ShardReport> {
  const old = record.tokens.filter((token) => isOld(token, activeId)).length;
  try {
    const deadline = deps.clock.now() + COMMAND_TIMEOUT_MS;
    const account = record.account === undefined ? {} : { account: record.account };
    const tokens = await Promise.all(
      record.tokens.map(async (token) =>
        isOld(token, activeId) ? (await deps.hsm.execute('ResealToken', { token, ...account }, deadline)).token : token,
      ),
    );
    // A worker that does not seal under the new key yet answers in good faith with what does not help.
    if (tokens.some((token) => isOld(token, activeId)))
      throw new Error('a worker does not use the active domain key yet');
    if (!(await record.replace(tokens))) throw new Error('the record changed meanwhile');
    return { resealed: old, remaining: 0 };
  } catch (error) {
    deps.onLeft(record.name, error);
    return { resealed: 0, remaining: old };
  }
}

/** What is no token at all counts as old: it is never taken for proof that a domain key is not needed. */
function isOld(token: Uint8Array, activeId: string): boolean {
  try {
    return domainKeyIdOf(token) !== activeId;
  } catch {
    return true;
  }
}
