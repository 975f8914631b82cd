import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { type BackingKey, type KmsKey, multiRegionTypeOf, type RelatedKeys, relatedOf } from './kms-key.ts';

export function hasReplicas(key: KmsKey): boolean {
  return multiRegionTypeOf(key) === 'PRIMARY' && relatedOf(key).replicas.length > 0;
}

/** Whether `other` is the same multi-Region key in another Region. */
export function isRelated(key: KmsKey, other: KmsKey | undefined): other is KmsKey {
  return other !== undefined && other.multiRegion && other.keyId === key.keyId && other.accountId === key.accountId;
}

/** Throws UnsupportedOperationException, with AWS's text. */
export function assertPrimary(key: KmsKey): void {
  if (multiRegionTypeOf(key) === 'PRIMARY') return;
  throw new KmsException('UnsupportedOperationException', `${key.arn} is not a multi-region primary key.`);
}

/** For what the primary decides on behalf of all Regions. A single-Region key decides for itself. */
export function assertNoReplica(key: KmsKey): void {
  if (multiRegionTypeOf(key) === 'REPLICA') assertPrimary(key);
}

export function arnIn({ arn }: Pick<KmsKey, 'arn'>, region: string): string {
  const [name = '', partition = '', service = '', , ...rest] = arn.split(':');
  return [name, partition, service, region, ...rest].join(':');
}

/** A primary's record with a change to what all Regions share. It is `spreading` until all have been told. */
export function sharedChange(key: KmsKey, change: Partial<KmsKey>, related: Partial<RelatedKeys> = {}): KmsKey {
  const before = relatedOf(key);
  const after = { ...before, ...related, version: before.version + 1 };
  return { ...key, ...change, related: { ...after, spreading: after.replicas.length > 0 || undefined } };
}

/** Another Region's record after the primary's state was applied. Everything of its own is kept. */
export function toldBy(primary: KmsKey, key: KmsKey): KmsKey {
  const { related, automaticRotation } = primary;
  const told = { ...key, related: { ...relatedOf({ ...primary, related }), spreading: undefined } };
  const state = key.state === 'Creating' ? firstStateOf(primary) : key.state;
  return { ...told, state, automaticRotation, backingKeys: materialsLike(primary, key) };
}

/** Whether another Region's record matches everything in the primary's, at whatever version. */
export function saysTheSame(primary: KmsKey, key: KmsKey): boolean {
  const shared = ({ related, automaticRotation, backingKeys }: KmsKey): string => {
    const { primary: region, replicas, next } = relatedOf({ ...primary, related });
    const materials = backingKeys.map(({ materialId, pending, description }) => [materialId, pending, description]);
    return JSON.stringify([region, replicas, next, automaticRotation, materials]);
  };
  return shared(primary) === shared(key);
}

/**
 * The record of a primary that is behind one of its replicas, as after a restore from backup. Its content counts as
 * newer from now on.
 */
export function caughtUp(primary: KmsKey, replica: KmsKey): KmsKey {
  const related = { ...relatedOf(primary), version: relatedOf(replica).version };
  return sharedChange({ ...primary, related }, { backingKeys: materialsLike(replica, primary) });
}

function firstStateOf({ origin }: KmsKey): KmsKey['state'] {
  return origin === 'EXTERNAL' ? 'PendingImport' : 'Enabled';
}

/**
 * The primary's materials, each with the token that this record already has for it. The owner imports material into
 * each Region: all share what it is, but each has its own presence and expiry. Material that only this record has, as
 * after a restore from backup, is kept, and is not the current one: something may be encrypted under it.
 */
function materialsLike(primary: KmsKey, { backingKeys }: KmsKey): readonly BackingKey[] {
  const isImported = primary.origin === 'EXTERNAL';
  const listed = new Set(primary.backingKeys.map(({ materialId }) => materialId));
  // Imported material that waits for a rotation is also in its owner's hands, who may have deleted it at the primary.
  const isKept = ({ materialId, pending }: BackingKey) => !listed.has(materialId) && !(pending && isImported);
  const likePrimary = (material: BackingKey): BackingKey => {
    const own = backingKeys.find(({ materialId }) => materialId === material.materialId);
    if (isImported) return { ...material, token: own?.token, publicKey: own?.publicKey, validTo: own?.validTo };
    return own === undefined ? material : { ...material, token: own.token };
  };
  return [...backingKeys.filter(isKept), ...primary.backingKeys.map(likePrimary)];
}

/**
 * The initial state of a replica. Its primary does not know of it yet. An earlier replica may have had its id: so that
 * no revision is used twice, the first one is the time.
 */
export function newReplica(
  primary: KmsKey,
  own: Pick<KmsKey, 'region' | 'createdAt' | 'description' | 'policy' | 'policyPrincipals' | 'tags'>,
): KmsKey {
  const { keyId, accountId, keySpec, keyUsage, origin } = primary;
  const related = relatedOf(primary);
  return {
    revision: own.createdAt,
    keyId,
    arn: arnIn(primary, own.region),
    accountId,
    keySpec,
    keyUsage,
    origin,
    multiRegion: true,
    ...own,
    state: 'Creating',
    backingKeys: [],
    related: { version: related.version, primary: related.primary, replicas: [...related.replicas, own.region] },
  };
}
