import { ALIAS_PREFIX } from './ids.ts';

/** Where a KMS resource lives: part of a key's identity. */
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

/** `aliasName` includes its `alias/` prefix. */
export function aliasArn(scope: ArnScope, aliasName: string): string {
  return `${arnPrefix(scope)}${aliasName}`;
}

function arnPrefix({ partition, region, accountId }: ArnScope): string {
  return `arn:${partition}:kms:${region}:${accountId}:`;
}

/** Alias names may contain colons. */
const arnForm = /^arn:([^:]+):kms:([^:]+):([0-9]{12}):(key\/|alias\/)(.+)$/s;

/**
 * Parses a key ARN or alias ARN; undefined for anything else. Does not check that the key id is well-formed: the lookup
 * does.
 */
export function parseKmsArn(text: string): KmsArn | undefined {
  const parts = arnForm.exec(text);
  if (parts === null) return undefined;
  const [, partition = '', region = '', accountId = '', kind, name = ''] = parts;
  return kind === 'key/'
    ? { partition, region, accountId, kind: 'key', keyId: name }
    : { partition, region, accountId, kind: 'alias', aliasName: `${ALIAS_PREFIX}${name}` };
}

/** `arn:<partition>:iam::<account>:...`, or sts. */
const principalForm = /^arn:[^:]+:(?:iam|sts)::([0-9]{12}):./;

/** The account of a user, role, session or root ARN; undefined for anything else. */
export function accountOfPrincipal(arn: string): string | undefined {
  return principalForm.exec(arn)?.[1];
}
