import type { Clock } from '@keyfleet/shared/clock';
import { dueQueue } from '@keyfleet/shared/due-queue';
import type { Notices } from '@keyfleet/shared/notices';
import { dueDateOf, type DueKey } from '@keyfleet/shared/stored/due-entries';
import type { ServiceEvents } from '../audit/service-events.ts';
import type { GrantStore } from '../grants/grant-store.ts';
import type { HsmCommands } from '../hsm/commands.ts';
import { evictBackingKeys, newBackingKey } from '../keys/backing-keys.ts';
import { withoutMaterial } from '../keys/import.ts';
import type { KmsKey } from '../keys/kms-key.ts';
import { rotatedTo, rotationAfter } from '../keys/key-rotation.ts';
import { ConflictError, type DueStore, type KeyStore, type KeyTraces } from '../store/store.ts';

export interface DueWorkerDeps extends CarryOutDeps {
  readonly notices: Pick<Notices, 'connection'>;
  readonly onProblem: (problem: unknown) => void;
}

/**
 * Deletes and rotates keys that are due, and imported material whose date has come, shard by shard as the
 * domain-manager asks for it, while this frontend serves.
 */
export function startDueWorker(deps: DueWorkerDeps): AsyncDisposable {
  return dueQueue.startWorker(deps.notices, ({ shard }, alive) => carryOutDue(shard, deps, alive), deps.onProblem);
}

/** At once: customers' requests share the same workers and the same Redis. */
const BATCH = 16;
const COMMAND_TIMEOUT_MS = 5_000;
/** How long whoever records a deletion has for it, before others take it that he is gone. */
const RECORDING_MS = 60_000;

export interface CarryOutDeps {
  /** Not through a cache: what an older record says would be taken for a reason to do nothing. */
  readonly store: DueStore & Pick<KeyStore, 'findKey' | 'updateKey' | 'deleteKey' | 'clearTraces'>;
  readonly grants: Pick<GrantStore, 'clear'>;
  readonly hsm: HsmCommands;
  readonly clock: Clock;
  readonly serviceEvents: ServiceEvents;
  /** What could not be done to a key now; its entry stays, and the next item of the shard tries again. */
  readonly onLeft: (key: DueKey, error: unknown) => void;
}

/**
 * Does what is due in one shard. May be cut off anywhere, repeated any number of times, and done by several frontends
 * at once: the record decides, every change is by compare-and-set, and an entry is removed last.
 */
export async function carryOutDue(shard: number, deps: CarryOutDeps, alive: () => void): Promise<void> {
  deps.serviceEvents.assertRecordable();
  const now = deps.clock.now();
  let after: string | undefined;
  do {
    const page = { limit: BATCH, ...(after !== undefined && { after }) };
    const { items, next } = await deps.store.listDue(shard, now, page);
    await Promise.all(items.map((due) => carryOut(due, now, deps)));
    alive();
    after = next;
  } while (after !== undefined);
}

async function carryOut(due: DueKey, now: number, deps: CarryOutDeps): Promise<void> {
  const { store, onLeft } = deps;
  try {
    const key = await store.findKey(due.region, due.keyId);
    if (key === undefined) await finishDeletion(due, deps);
    else if ((dueDateOf(key) ?? Infinity) <= now) await workOn(key, now)(key, deps);
    await store.removeDue(due);
  } catch (error) {
    // Somebody changed the key at the same time: the next look decides on what it is then.
    if (!(error instanceof ConflictError)) onLeft(due, error);
  }
}

/** What is due of a key now, of which something is: what destroys more goes first. */
function workOn({ state, deletionDate, imported }: KmsKey, now: number): typeof destroy {
  if (state === 'PendingDeletion' && deletionDate !== undefined && deletionDate <= now) return destroy;
  return imported?.validTo !== undefined && imported.validTo <= now ? expire : rotate;
}

/** No frontend has used the material since its date (`stateAt`); now nothing of it is left. */
async function expire(key: KmsKey, { store, hsm, clock, serviceEvents }: CarryOutDeps): Promise<void> {
  const expired = await store.updateKey(withoutMaterial(key));
  serviceEvents.keyMaterialExpired(expired);
  await evictBackingKeys(key, { hsm, deadline: clock.now() + COMMAND_TIMEOUT_MS });
}

/** The workers first: once the record is gone, nobody knows any more what they should forget. */
async function destroy(key: KmsKey, deps: CarryOutDeps): Promise<void> {
  const { store, hsm, clock, serviceEvents } = deps;
  await evictBackingKeys(key, { hsm, deadline: clock.now() + COMMAND_TIMEOUT_MS });
  await store.deleteKey(key, serviceEvents.deletionOf(key));
  await finishDeletion(key, deps);
}

/**
 * What is left to do when the record is gone. The event was stored with the deletion and stays until it is recorded: by
 * one of several who come to it at once, or by another if he is cut off. (Cut off between the two, it is recorded
 * again, with the same eventID.)
 */
async function finishDeletion(key: KeyTraces, { store, grants, clock, serviceEvents }: CarryOutDeps): Promise<void> {
  const now = clock.now();
  const event = await store.claimDeletion(key, { now, until: now + RECORDING_MS });
  if (event !== undefined) {
    await serviceEvents.record(event);
    await store.forgetDeletion(key);
  }
  await grants.clear(key);
  await store.clearTraces(key);
}

async function rotate(key: KmsKey, { store, hsm, clock, serviceEvents }: CarryOutDeps): Promise<void> {
  const { automaticRotation } = key;
  if (automaticRotation === undefined) return;
  const deadline = clock.now() + COMMAND_TIMEOUT_MS;
  const backingKey = await newBackingKey(key, { hsm, clock, deadline });
  const rotated = await store.updateKey({
    ...key,
    ...rotatedTo(key, backingKey, 'AUTOMATIC'),
    automaticRotation: rotationAfter(automaticRotation, clock.now()),
  });
  serviceEvents.keyRotated(rotated);
  await evictBackingKeys({ backingKeys: rotated.backingKeys.slice(-2, -1) }, { hsm, deadline });
}
