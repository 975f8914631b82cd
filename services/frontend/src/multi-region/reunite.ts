import { isPendingDeletion } from '../keys/key-states.ts';
import { type KmsKey, multiRegionTypeOf, relatedOf } from '../keys/kms-key.ts';
import { caughtUp, isRelated, saysTheSame } from '../keys/multi-region.ts';
import { decidedAgain } from '../request/deadlines.ts';
import { ConflictError } from '../store/store.ts';
import { freed, spread, type SpreadDeps } from './spread.ts';

/**
 * Makes the records of a multi-Region key agree that a restore has left apart: with no primary or with several, with a
 * replica that the primary does not list, or that it lists and that is gone. Afterwards there is one primary, and it
 * lists every replica that is there. Does nothing while they agree; what is under way is completed first.
 *
 * `regions`: wherever the key may be. `deps.keys`: not through a cache, because what it does rests on what is read
 * later than the record that it writes.
 */
export function reunite(key: KmsKey, regions: readonly string[], deps: SpreadDeps): Promise<void> {
  const { primary, replicas } = relatedOf(key);
  const all = [...new Set([...regions, primary, ...replicas])];
  const findIn = async (some: readonly string[]): Promise<KmsKey[]> => {
    const found = await Promise.all(some.map(async (region) => deps.keys.findKey(region, key.keyId)));
    return found.filter((one) => isRelated(key, one));
  };
  const reuniting = async (): Promise<void> => {
    const found = await findIn(all);
    const head = headOf(found);
    if (head === undefined || agree(found)) return;
    if (isSpreading(head)) {
      await spread(head, deps);
      throw new ConflictError(`the Regions of ${head.arn} were not told of an earlier change`);
    }
    const others = await findIn(all.filter((region) => region !== head.region));
    if (headOf([head, ...others]) !== head) throw new ConflictError(`the primary of ${head.arn} is changing`);
    const newest = newestOf(head, others);
    if (multiRegionTypeOf(head) === 'REPLICA') await assertHeadless(newest, deps);
    await spread(await deps.keys.updateKey(leading(head, { newest, others, now: deps.clock.now() })), deps);
  };
  return decidedAgain(reuniting, deps.deadline, deps.clock);
}

/** A replica that is being made has nothing to say yet; one that is deleted meanwhile has no material. */
function isComplete(key: KmsKey): boolean {
  const isEmpty = !isPrimary(key) && key.backingKeys.length === 0;
  return key.state !== 'Creating' && !(isEmpty && isPendingDeletion(key));
}

function isPrimary(key: KmsKey): boolean {
  return multiRegionTypeOf(key) === 'PRIMARY';
}

function isSpreading(key: KmsKey): boolean {
  return isPrimary(key) && key.related?.spreading === true;
}

function agree(found: readonly KmsKey[]): boolean {
  const primary = found.find(isPrimary);
  if (primary === undefined || isSpreading(primary)) return false;
  const { version, replicas } = relatedOf(primary);
  const there = new Set(found.map(({ region }) => region));
  const others = found.filter((key) => key !== primary && isComplete(key));
  const isTold = (key: KmsKey) =>
    replicas.includes(key.region) && relatedOf(key).version === version && saysTheSame(primary, key);
  return replicas.every((region) => there.has(region)) && others.every(isTold);
}

/**
 * The key that is the primary, or shall be: of those that say so, the one of the higher version; where none does, that
 * of all, but rather one that is not about to be deleted. Of two at one version, the one whose Region comes first.
 */
function headOf(found: readonly KmsKey[]): KmsKey | undefined {
  const rankOf = (key: KmsKey): number => (isPrimary(key) ? 2 : isPendingDeletion(key) ? 0 : 1);
  const [head] = found
    .filter(isComplete)
    .toSorted(
      (a, b) => rankOf(b) - rankOf(a) || relatedOf(b).version - relatedOf(a).version || (a.region < b.region ? -1 : 1),
    );
  return head;
}

/** Of several at the highest version, the head. */
function newestOf(head: KmsKey, others: readonly KmsKey[]): KmsKey {
  return others
    .filter(isComplete)
    .reduce((newest, key) => (relatedOf(key).version > relatedOf(newest).version ? key : newest), head);
}

/**
 * Throws ConflictError unless the key that the newest record names cannot be the primary any more or again. Only a
 * primary tells others of a version, and it becomes a replica at a higher one: read later, it is neither gone nor a
 * replica at this version or an older one, unless the records are from different moments.
 */
async function assertHeadless(newest: KmsKey, { keys }: Pick<SpreadDeps, 'keys'>): Promise<void> {
  const { primary, version } = relatedOf(newest);
  const named = await keys.findKey(primary, newest.keyId);
  if (!isRelated(newest, named) || !isComplete(named)) return;
  if (isPrimary(named) || relatedOf(named).version > version)
    throw new ConflictError(`the primary of ${newest.arn} is changing`);
}

interface Others {
  readonly newest: KmsKey;
  readonly others: readonly KmsKey[];
  readonly now: number;
}

/**
 * The head's record as that of the primary, which is to be told to all. No record is newer than it. Where nobody was
 * the primary, it also completes the replicas that were being made.
 */
function leading(head: KmsKey, { newest, others, now }: Others): KmsKey {
  const { replicas: listed } = relatedOf(head);
  const isOwn = (key: KmsKey) => isComplete(key) || !isPrimary(head) || listed.includes(key.region);
  const replicas = others.filter(isOwn).map(({ region }) => region);
  const { automaticRotation } = isPrimary(head) ? head : newest;
  const { version } = relatedOf(newest);
  const led = caughtUp({ ...head, automaticRotation, related: { version, primary: head.region, replicas } }, newest);
  // Also without a replica: there may be a rotation to complete.
  return freed({ ...led, related: { ...relatedOf(led), spreading: true } }, now);
}
