import type { Clock } from '@keyfleet/shared/clock';
import { dueQueue } from '@keyfleet/shared/due-queue';
import type { Notices } from '@keyfleet/shared/notices';
import { KEPT_AFTER_RESTORE_MS } from '@keyfleet/shared/redis/store-restored';
import { dueDateOf, type DueKey } from '@keyfleet/shared/stored/due-entries';
import type { ServiceEvents } from '../audit/service-events.ts';
import { carryOutDestruction, type DestructionDeps, destructionOf, isDestruction } from '../cloudhsm/destruction.ts';
import type { GrantStore } from '../grants/grant-store.ts';
import type { HsmCommands } from '../hsm/commands.ts';
import { isMultiRegionKeyId } from '@keyfleet/shared/ids';
import { evictBackingKeys } from '../keys/backing-keys.ts';
import { withoutMaterial } from '../keys/import.ts';
import { type BackingKey, type KmsKey, multiRegionTypeOf } from '../keys/kms-key.ts';
import { sharedChange } from '../keys/multi-region.ts';
import { changeAndRecord, RECORDING_MS } from '../audit/recorded-change.ts';
import { rotationAfter } from '../keys/key-rotation.ts';
import { join, leave } from '../multi-region/replicas.ts';
import { reunite } from '../multi-region/reunite.ts';
import { rotate } from '../multi-region/rotate.ts';
import { isToldBy, spread, type SpreadDeps, writeShared } from '../multi-region/spread.ts';
import { ConflictError, type DueStore, type KeyStore, type KeyTraces } from '../store/store.ts';

export interface DueWorkerDeps extends CarryOutDeps {
  readonly notices: Pick<Notices, 'connection'>;
  readonly onProblem: (problem: unknown) => void;
}

/**
 * While this frontend serves: deletes and rotates keys that are due, and deletes imported material that has expired,
 * shard by shard as the domain-manager requests.
 */
export function startDueWorker(deps: DueWorkerDeps): AsyncDisposable {
  return dueQueue.startWorker(deps.notices, ({ shard }, alive) => carryOutDue(shard, deps, alive), deps.onProblem);
}

/** How many at once: customers' requests share the same workers and the same Redis. */
const BATCH = 16;
const COMMAND_TIMEOUT_MS = 5_000;

export interface CarryOutDeps extends Pick<DestructionDeps, 'keyStores' | 'clusters'> {
  /** Not through a cache: an outdated record would look like a reason to do nothing. */
  readonly store: DueStore & Pick<KeyStore, 'findKey' | 'updateKey' | 'deleteKey' | 'forgetEvents' | 'clearTraces'>;
  readonly grants: Pick<GrantStore, 'clear'>;
  readonly hsm: HsmCommands;
  readonly clock: Clock;
  readonly serviceEvents: ServiceEvents;
  /** This deployment's Regions. */
  readonly regions: readonly string[];
  /** As `readRestoredAt`. */
  readonly restoredAt: () => Promise<number>;
  /** Called when the key's deletion has another date, in milliseconds since the epoch, because of a restore. */
  readonly onPutOff: (key: KmsKey, deletionDate: number) => void;
  /** Called for a key that could not be processed now. Its entry stays, and the shard's next item tries again. */
  readonly onLeft: (key: DueKey, error: unknown) => void;
}

/**
 * Does everything that is due in one shard. It may be interrupted anywhere, repeated any number of times, and run by
 * several frontends at once: the record decides, every change is by compare-and-set, and an entry is removed last.
 */
export async function carryOutDue(shard: number, deps: CarryOutDeps, alive: () => void): Promise<void> {
  // What is deleted does not come back: one clock that is ahead decides nothing.
  const now = Math.min(deps.clock.now(), await deps.store.now());
  const deletesFrom = Math.min(now, await deps.restoredAt()) + KEPT_AFTER_RESTORE_MS;
  let after: string | undefined;
  do {
    // Each key that is done adds to the records that wait.
    deps.serviceEvents.assertRecordable();
    const page = { limit: BATCH, ...(after !== undefined && { after }) };
    const { items, next } = await deps.store.listDue(shard, now, page);
    await Promise.all(items.map((due) => carryOut(due, { shard, now, deletesFrom }, deps)));
    alive();
    after = next;
  } while (after !== undefined);
}

async function carryOut(
  due: DueKey,
  { shard, ...times }: Times & { readonly shard: number },
  deps: CarryOutDeps,
): Promise<void> {
  const { store, onLeft } = deps;
  try {
    const key = await store.findKey(due.region, due.keyId);
    if (key === undefined) await finishDeletion(due, deps);
    else {
      const work = (dueDateOf(key) ?? Infinity) <= times.now ? workOn(key, times) : undefined;
      await work?.(key, deps);
      // Last: the claim of a frontend that died holds up nothing else. A deletion ends with it.
      if (work !== destroy) {
        await recordEvents(key, deps);
        if (key.related !== undefined) await reunite(key, deps.regions, spreadDeps(deps));
      }
    }
    await store.removeDue(shard, due);
  } catch (error) {
    // Someone changed the key at the same time. The next look decides by its new state.
    if (!(error instanceof ConflictError)) onLeft(due, error);
  }
}

interface Times {
  readonly now: number;
  /** Before that, no key is deleted on its date: the store was restored. */
  readonly deletesFrom: number;
}

/**
 * Picks the work for a key that has something due: first finish what was begun, then prefer what destroys more. The
 * rest gets entries of its own when the changed record is written.
 */
function workOn(key: KmsKey, { now, deletesFrom }: Times): typeof destroy | undefined {
  const { state, deletionDate, related } = key;
  if (state === 'Creating') return finishCreation;
  if (related?.spreading) return finishSpreading;
  if (state === 'PendingDeletion' && deletionDate !== undefined && deletionDate <= now)
    return now < deletesFrom ? (of, deps) => putOff(of, deletesFrom, deps) : destroy;
  const expired = findExpired(key, now);
  if (expired) return (of, deps) => expire(of, expired, deps);
  return multiRegionTypeOf(key) === 'REPLICA' ? undefined : rotateAutomatically;
}

/** Its record may be from before people cancelled this, and the restore have been made to get the key back. */
async function putOff(key: KmsKey, deletionDate: number, { store, onPutOff }: CarryOutDeps): Promise<void> {
  await store.updateKey({ ...key, deletionDate });
  onPutOff(key, deletionDate);
}

/** If several have expired, the next one has an entry of its own. */
function findExpired({ backingKeys }: KmsKey, now: number): BackingKey | undefined {
  return backingKeys.find(({ validTo }) => validTo !== undefined && validTo <= now);
}

/** No frontend has used the material since its date (`stateAt`); now it is deleted. */
async function expire(key: KmsKey, expired: BackingKey, deps: CarryOutDeps): Promise<void> {
  const { store, hsm, clock, serviceEvents } = deps;
  const event = serviceEvents.expiryOf(key, expired.materialId);
  const changed = withoutMaterial(key, expired.materialId);
  if (isToldBy(key, changed)) {
    await writeShared(key, sharedChange(key, changed), spreadDeps(deps), event);
  } else {
    const { recorded } = await changeAndRecord(changed, event, { keys: store, clock, serviceEvents });
    await recorded;
  }
  await evictBackingKeys({ backingKeys: [expired] }, { hsm, clock, deadline: clock.now() + COMMAND_TIMEOUT_MS });
}

/** The frontend that began to create this replica was interrupted. */
async function finishCreation(replica: KmsKey, deps: CarryOutDeps): Promise<void> {
  await reunite(replica, deps.regions, spreadDeps(deps));
  if (!(await join(replica, spreadDeps(deps)))) await destroy(replica, deps);
}

async function finishSpreading(primary: KmsKey, deps: CarryOutDeps): Promise<void> {
  await spread(primary, spreadDeps(deps));
}

function spreadDeps({ store, clock, serviceEvents }: CarryOutDeps): SpreadDeps {
  return { keys: store, clock, serviceEvents, deadline: clock.now() + COMMAND_TIMEOUT_MS };
}

/**
 * Evicts from the workers first: once the record is gone, nothing says what they should forget. Destroys nothing before
 * that: until then the owner may cancel.
 */
async function destroy(key: KmsKey, deps: CarryOutDeps): Promise<void> {
  const { store, hsm, clock, serviceEvents } = deps;
  await evictBackingKeys(key, { hsm, clock, deadline: clock.now() + COMMAND_TIMEOUT_MS });
  await store.deleteKey(key, serviceEvents.deletionOf(key), destructionOf(key, clock.now()));
  await finishDeletion(key, deps);
}

/**
 * The work that remains once the record is gone. The event of the deletion goes last of what is kept under the key's
 * id: until then no replica is made again under this id, which would take over what is left of the old one, or lose
 * what it is given.
 */
async function finishDeletion(key: KeyTraces, deps: CarryOutDeps): Promise<void> {
  await assertGone(key, deps);
  await deps.grants.clear(key);
  await assertGone(key, deps);
  await deps.store.clearTraces(key);
  try {
    if (isMultiRegionKeyId(key.keyId)) await leave(key, deps.regions, spreadDeps(deps));
  } finally {
    await recordEvents(key, deps);
  }
}

/** Others may have finished before this frontend, and a replica been made again: nothing is taken from it. */
async function assertGone({ region, keyId }: KeyTraces, { store }: CarryOutDeps): Promise<void> {
  if (isMultiRegionKeyId(keyId) && (await store.findKey(region, keyId)))
    throw new ConflictError(`${keyId} is there again`);
}

/**
 * Each event was stored with its change and stays until it is recorded. If several frontends come to it at once, one of
 * them records it; if that one dies, another does. (If it dies between the two steps, the event is recorded again with
 * the same eventID.) What is not authentic among them holds up no other.
 */
async function recordEvents(key: KeyTraces, deps: CarryOutDeps): Promise<void> {
  const { store, clock, serviceEvents } = deps;
  const now = clock.now();
  let damage: Error | undefined;
  const onDamaged = (one: Error): void => void (damage ??= one);
  const claimed = await store.claimEvents(key, { now, until: now + RECORDING_MS, onDamaged });
  const events = claimed.filter((one) => !isDestruction(one));
  if (events.length > 0) {
    await serviceEvents.recordFound(key, events);
    await store.forgetEvents(key, events);
  }
  const destruction = claimed.find(isDestruction);
  if (destruction !== undefined) await carryOutDestruction(key, destruction, deps);
  if (damage !== undefined) throw damage;
}

async function rotateAutomatically(key: KmsKey, deps: CarryOutDeps): Promise<void> {
  const { automaticRotation } = key;
  if (automaticRotation === undefined) return;
  const change = { automaticRotation: rotationAfter(automaticRotation, deps.clock.now()) };
  const { recorded } = await rotate(key, 'AUTOMATIC', { ...spreadDeps(deps), hsm: deps.hsm }, change);
  await recorded;
}
