import { isAliasName } from './ids.ts';

/** Where a KMS resource is: part of a key's identity. */
export interface ArnScope {
  readonly partition: string;
  readonly region: string;
  readonly accountId: string;
}

export type KmsArn = ArnScope &
  ({ readonly kind: 'key'; readonly keyId: string } | { readonly kind: 'alias'; readonly aliasName: string });

export function keyArn(scope: ArnScope, keyId: string): string {
  return `${arnPrefix(scope)}key/${keyId}`;
}

/** `aliasName` has its `alias/` prefix. */
export function aliasArn(scope: ArnScope, aliasName: string): string {
  return `${arnPrefix(scope)}${aliasName}`;
}

function arnPrefix({ partition, region, accountId }: ArnScope): string {
  return `arn:${partition}:kms:${region}:${accountId}:`;
}

/** A key ARN or alias ARN; undefined for anything else. Whether the key id is one is left to whoever looks it up. */
export function parseKmsArn(text: string): KmsArn | undefined {
  const [arn, partition, service, region, accountId, ...rest] = text.split(':');
  // Alias names may contain colons.
  const resource = rest.join(':');
  if (arn !== 'arn' || service !== 'kms' || !partition || !region || !accountId || !/^[0-9]{12}$/.test(accountId))
    return undefined;
  const scope = { partition, region, accountId };
  if (resource.startsWith('key/') && resource.length > 'key/'.length) {
    return { ...scope, kind: 'key', keyId: resource.slice('key/'.length) };
  }
  return isAliasName(resource) ? { ...scope, kind: 'alias', aliasName: resource } : undefined;
}
