import type { Clock } from '@keyfleet/shared/clock';
import { changeAndRecord } from '../audit/recorded-change.ts';
import type { ServiceEvents } from '../audit/service-events.ts';
import { type KmsKey, multiRegionTypeOf, relatedOf } from '../keys/kms-key.ts';
import { DAY_MS, promoted } from '../keys/key-rotation.ts';
import { caughtUp, hasReplicas, isRelated, saysTheSame, sharedChange, toldBy } from '../keys/multi-region.ts';
import { decidedAgain } from '../request/deadlines.ts';
import { ConflictError, type KeyStore, type StoredEvent } from '../store/store.ts';

export interface SpreadDeps {
  readonly keys: Pick<KeyStore, 'findKey' | 'updateKey' | 'forgetEvents'>;
  readonly clock: Clock;
  /** Milliseconds since the epoch. Whatever is not done by then is left to the background. */
  readonly deadline: number;
  readonly serviceEvents: Pick<ServiceEvents, 'record' | 'rotationOf' | 'synchronizationOf'>;
}

/**
 * A primary's record that was read longer ago is not passed on: its tokens may be under a domain key that was dropped,
 * or retired, which waits for what is read and not yet written (services/domain-manager/src/reseal-passes.ts).
 */
const FRESH_MS = 5_000;

/** A change takes a few, and each has something new to go by. */
const MAX_STEPS = 20;

/**
 * Writes a change to what all of a key's Regions share, and tells the others. Throws ConflictError if an earlier change
 * had to be told first; that has been done, and everything must be decided again. Returns the record as written. A
 * single-Region key is simply written.
 */
export async function changeShared(key: KmsKey, change: Partial<KmsKey>, deps: SpreadDeps): Promise<KmsKey> {
  if (!key.multiRegion) return deps.keys.updateKey({ ...key, ...change });
  return writeShared(key, sharedChange(key, change), deps);
}

/**
 * Writes a change to a key's material. Presence is each Region's own; which materials there are, the primary tells the
 * others.
 */
export async function changeMaterials(key: KmsKey, changed: KmsKey, deps: SpreadDeps): Promise<KmsKey> {
  if (!isToldBy(key, changed)) return deps.keys.updateKey(changed);
  return writeShared(key, sharedChange(key, changed), deps);
}

/** Whether the others must be told when `key` becomes `changed`. */
export function isToldBy(key: KmsKey, changed: KmsKey): boolean {
  return hasReplicas(key) && !saysTheSame(key, changed);
}

/** `changed`: the new version of `key`, a primary's record. `event`: its event for the audit log. */
export async function writeShared(
  key: KmsKey,
  changed: KmsKey,
  deps: SpreadDeps,
  event?: StoredEvent,
): Promise<KmsKey> {
  if (key.related?.spreading) {
    await spread(key, deps);
    throw new ConflictError(`the Regions of ${key.arn} were not told of an earlier change`);
  }
  const written = await (event ? changeRecorded(changed, event, deps) : deps.keys.updateKey(changed));
  await spread(written, deps);
  return written;
}

/**
 * Carries out what the primary's record says until every Region has it and nothing is left to do. The record was
 * written first, so if this is interrupted, the next one to look at the record continues. Several may do this at once:
 * what a record says about all Regions has a version, no record goes back to an older one, and every write states the
 * revision that it read.
 */
export async function spread(primary: KmsKey, deps: SpreadDeps): Promise<void> {
  let at: KmsKey | undefined = primary;
  let isRead = true;
  const carryOn = async (): Promise<void> => {
    if (!isRead && at !== undefined) at = await deps.keys.findKey(at.region, at.keyId);
    isRead = false;
    for (let steps = 0; at?.related?.spreading; steps++) {
      if (steps === MAX_STEPS) throw new ConflictError(`the records of ${primary.arn} do not agree`);
      at = await step(at, deps);
    }
  };
  await decidedAgain(carryOn, deps.deadline, deps.clock);
}

/** Returns the record to continue from. */
async function step(primary: KmsKey, deps: SpreadDeps): Promise<KmsKey | undefined> {
  const told = await tellAll(primary, deps);
  const newer = told.find((key) => isNewer(key, primary));
  if (newer !== undefined) return follow(newer, primary, deps);
  if (relatedOf(primary).next !== undefined) return makePrimary(told, primary, deps);
  if (!isRotating(primary)) return deps.keys.updateKey(settled(primary));
  const rotated = sharedChange(primary, promoted(primary));
  return changeRecorded(rotated, deps.serviceEvents.rotationOf(rotated), deps);
}

/** Nobody waits for the disk. */
async function changeRecorded(key: KmsKey, event: StoredEvent, deps: SpreadDeps): Promise<KmsKey> {
  return (await changeAndRecord(key, event, deps)).changed;
}

/** Imported material waits for RotateKeyOnDemand. */
function isRotating({ origin, backingKeys }: KmsKey): boolean {
  return origin !== 'EXTERNAL' && backingKeys.some(({ pending }) => pending);
}

function settled(primary: KmsKey): KmsKey {
  return { ...primary, related: { ...relatedOf(primary), spreading: undefined } };
}

/** A record at the same version with different content also dates from before a restore. */
function isNewer(key: KmsKey, primary: KmsKey): boolean {
  const [own, theirs] = [relatedOf(primary).version, relatedOf(key).version];
  return theirs > own || (theirs === own && !saysTheSame(primary, key));
}

/**
 * Either somebody else was faster and went on to make another key the primary, which now decides, also for the former
 * one; or this is still the primary, and an older record of it was restored. Of two primaries, as a restore can leave
 * them, the newer one decides; of two at the same version the one whose Region comes first. Where the newer record
 * leads to none, this is the only one: another that had become it would be one until this one was told.
 */
async function follow(newer: KmsKey, former: KmsKey, deps: SpreadDeps): Promise<KmsKey | undefined> {
  const { primary } = await followRecords(newer, deps);
  if (primary === undefined || primary.region === former.region) return deps.keys.updateKey(caughtUp(former, newer));
  const isEven = relatedOf(primary).version === relatedOf(former).version;
  const isDecider = multiRegionTypeOf(former) === 'PRIMARY' && isEven && former.region < primary.region;
  if (isDecider) return deps.keys.updateKey(caughtUp(former, newer));
  await tell(primary, former.region, deps);
  return primary;
}

/**
 * The primary, found by following the records: it may be elsewhere than a replica's record says. Undefined if a record
 * names one that is gone.
 */
export async function findPrimary(key: KmsKey, deps: Pick<SpreadDeps, 'keys'>): Promise<KmsKey | undefined> {
  const { primary, isCircle } = await followRecords(key, deps);
  if (isCircle) throw new ConflictError(`the primary of ${key.arn} is changing`);
  return primary;
}

async function followRecords(
  key: KmsKey,
  { keys }: Pick<SpreadDeps, 'keys'>,
): Promise<{ readonly primary?: KmsKey; readonly isCircle?: true }> {
  const seen = new Set<string>();
  let at: KmsKey | undefined = key;
  while (isRelated(key, at)) {
    if (multiRegionTypeOf(at) === 'PRIMARY') return { primary: at };
    if (seen.has(at.region)) return { isCircle: true };
    seen.add(at.region);
    at = await keys.findKey(relatedOf(at).primary, key.keyId);
  }
  return {};
}

/** Returns the other Regions' records, all at least at the primary's version. A key that is gone need not be told. */
async function tellAll(primary: KmsKey, deps: SpreadDeps): Promise<KmsKey[]> {
  const until = deps.clock.now() + FRESH_MS;
  const told = await Promise.all(relatedOf(primary).replicas.map((region) => tell(primary, region, deps, until)));
  return told.filter((key) => key !== undefined);
}

async function tell(
  primary: KmsKey,
  region: string,
  deps: SpreadDeps,
  until = deps.clock.now() + FRESH_MS,
): Promise<KmsKey | undefined> {
  const { keys, clock, serviceEvents } = deps;
  const key = await keys.findKey(region, primary.keyId);
  if (!isRelated(primary, key)) return undefined;
  if (relatedOf(key).version >= relatedOf(primary).version) return key;
  if (clock.now() > until) throw new ConflictError(`what ${primary.arn} says was read too long ago`);
  const told = freed(toldBy(primary, key), clock.now());
  if (told.backingKeys.length === key.backingKeys.length) return keys.updateKey(told);
  return changeRecorded(told, serviceEvents.synchronizationOf(told), deps);
}

/** A primary that waits for its replicas to be deleted, and has none any more, waits for its date from `now` on. */
export function freed(key: KmsKey, now: number): KmsKey {
  const { state, pendingWindowInDays = 0 } = key;
  if (state !== 'PendingReplicaDeletion' || hasReplicas(key)) return key;
  const deletionDate = now + pendingWindowInDays * DAY_MS;
  return { ...key, state: 'PendingDeletion', deletionDate, pendingWindowInDays: undefined };
}

/**
 * Throws ConflictError while the record names the key as the next primary and it is not enabled: whether it becomes the
 * primary hangs on its state, and whoever carries that out, at once with others, must see the same one.
 */
export function assertMayBeEnabled({ arn, region, state, related }: KmsKey): void {
  if (related?.next === region && state !== 'Enabled') throw new ConflictError(`${arn} is about to be passed over`);
}

/**
 * From this write on, `next` is the primary, and the former one is told like every other Region. It is not enabled
 * meanwhile (`assertMayBeEnabled`), and if it is disabled, this write fails.
 */
async function makePrimary(told: readonly KmsKey[], primary: KmsKey, { keys }: SpreadDeps): Promise<KmsKey> {
  const { next, replicas, primary: former } = relatedOf(primary);
  const heir = told.find(({ region }) => region === next);
  // It was scheduled for deletion or disabled before it was told, and stays so until the primary has taken it back.
  if (heir?.state !== 'Enabled') return keys.updateKey(sharedChange(primary, {}, { next: undefined }));
  const others = replicas.map((region) => (region === heir.region ? former : region));
  return keys.updateKey(sharedChange(heir, {}, { primary: heir.region, replicas: others, next: undefined }));
}
