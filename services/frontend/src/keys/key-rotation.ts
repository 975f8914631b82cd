import { KmsException } from '@keyfleet/shared/errors/exceptions';
import type { BackingKey, KmsKey } from './kms-key.ts';
import { assertNoReplica, hasReplicas } from './multi-region.ts';

export const DAY_MS = 86_400_000;
const DEFAULT_PERIOD_DAYS = 365;
/** Over a key's whole life; AWS raises it for nobody (Developer Guide "Rotate KMS keys"). */
const MAX_ON_DEMAND = 25;
const CONFLICT_MS = 20 * 60_000;

type AutomaticRotation = NonNullable<KmsKey['automaticRotation']>;

/** Throws UnsupportedOperationException unless KMS itself made the key's material. */
export function assertOwnOrigin({ arn, origin }: KmsKey): void {
  if (origin === 'AWS_KMS') return;
  const message = `${arn} origin is ${origin} which is not valid for this operation.`;
  throw new KmsException('UnsupportedOperationException', message);
}

/** Throws UnsupportedOperationException unless the service can make new material for such a key on its own. */
export function assertAutomaticRotation(key: KmsKey): void {
  assertOwnOrigin(key);
  if (key.keySpec !== 'SYMMETRIC_DEFAULT') throw new KmsException('UnsupportedOperationException');
  assertNoReplica(key);
}

/** Throws AWS's answer if a key cannot be rotated on demand now. AWS gives no message for a key of the wrong kind. */
export function assertOnDemandRotation(key: KmsKey, now: number): void {
  if (key.keySpec !== 'SYMMETRIC_DEFAULT') throw new KmsException('UnsupportedOperationException');
  if (key.customKeyStoreId !== undefined) assertOwnOrigin(key);
  assertNoReplica(key);
  if (key.backingKeys.filter(({ rotation }) => rotation === 'ON_DEMAND').length >= MAX_ON_DEMAND) {
    throw new KmsException(
      'LimitExceededException',
      `The on-demand rotations limit has been reached for the given keyId. No more on-demand rotations can be performed for this key: ${key.arn}`,
    );
  }
  if (key.automaticRotation && key.automaticRotation.nextDate - now <= CONFLICT_MS) {
    throw new KmsException(
      'ConflictException',
      'An automatic rotation of this key is currently in progress or scheduled to begin within the next 20 minutes.',
    );
  }
}

/** Enabling again with the same period keeps the date: doing so every day must not postpone the rotation for ever. */
export function automaticRotationFrom(
  now: number,
  periodInDays: number = DEFAULT_PERIOD_DAYS,
  before?: AutomaticRotation,
): AutomaticRotation {
  if (before?.periodInDays === periodInDays) return before;
  return { periodInDays, nextDate: now + periodInDays * DAY_MS };
}

/** One period after the due date, or after now if that has passed too. */
export function rotationAfter({ periodInDays, nextDate }: AutomaticRotation, now: number): AutomaticRotation {
  const date = nextDate + periodInDays * DAY_MS;
  return { periodInDays, nextDate: date > now ? date : now + periodInDays * DAY_MS };
}

/**
 * `backingKey` becomes current; for a key with replicas, once they all have it. Every older one stays for decryption.
 */
export function rotatedTo(
  key: KmsKey,
  backingKey: BackingKey,
  rotation: NonNullable<BackingKey['rotation']>,
): Pick<KmsKey, 'backingKeys'> {
  const added = { ...backingKey, rotation, ...(hasReplicas(key) && { pending: true as const }) };
  return { backingKeys: [...key.backingKeys, added] };
}

/** For a key of origin EXTERNAL: the next material has not been imported, or not in each of its Regions. */
export function noPendingRotation({ arn }: KmsKey): KmsException {
  const message = `No available key material pending rotation for the key: ${arn}.`;
  return new KmsException('KMSInvalidStateException', message);
}

/** For a key of origin EXTERNAL: the material imported for the rotation becomes current. */
export function rotatedToImported({ backingKeys }: KmsKey, now: number): Pick<KmsKey, 'backingKeys'> {
  const rotated = { pending: undefined, rotation: 'ON_DEMAND', createdAt: now } as const;
  return { backingKeys: backingKeys.map((material) => (material.pending ? { ...material, ...rotated } : material)) };
}

/** The pending material becomes current, now that every Region has it. */
export function promoted({ backingKeys }: KmsKey): Pick<KmsKey, 'backingKeys'> {
  return { backingKeys: backingKeys.map((material) => ({ ...material, pending: undefined })) };
}
