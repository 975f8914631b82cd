import { aliasArn, type ArnScope, keyArn, parseKmsArn } from '@keyfleet/shared/arn';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { ALIAS_PREFIX, isKeyId } from '@keyfleet/shared/ids';
import type { AliasStore, KeyStore } from '../store/store.ts';
import type { KmsKey } from './kms-key.ts';

/**
 * What an identifier names. A key of another account is never looked up: whether it exists is decided by no answer, since
 * authorization gives the same refusal either way.
 */
export type Resolved = { readonly key: KmsKey } | { readonly foreignArn: string };

export interface KeyLookup {
  readonly keys: Pick<KeyStore, 'findKey'>;
  readonly aliases: Pick<AliasStore, 'findAlias'>;
}

export interface Where {
  /** The caller's own account and Region: what a bare key id or alias name means. */
  readonly scope: ArnScope;
  readonly lookup: KeyLookup;
}

/** `kind`: AWS takes aliases for cryptography and DescribeKey, and refuses them on management operations. */
export async function resolveKey(
  identifier: string,
  kind: 'key' | 'key-or-alias',
  { scope, lookup }: Where,
): Promise<Resolved> {
  if (identifier.startsWith('arn:')) return resolveArn(identifier, kind, { scope, lookup });
  if (identifier.startsWith(ALIAS_PREFIX) && kind === 'key-or-alias') {
    return { key: await getKey(await targetOf(identifier, scope, lookup), scope, lookup) };
  }
  if (!isKeyId(identifier)) throw invalidKeyId(identifier);
  return { key: await getKey(identifier, scope, lookup) };
}

async function resolveArn(arn: string, kind: 'key' | 'key-or-alias', { scope, lookup }: Where): Promise<Resolved> {
  const parsed = parseKmsArn(arn);
  if (!parsed) throw new KmsException('InvalidArnException', `Invalid arn ${arn}`);
  if (parsed.region !== scope.region || parsed.partition !== scope.partition) {
    throw new KmsException('NotFoundException', `Invalid arn ${parsed.region}`);
  }
  if (parsed.kind === 'alias' ? kind === 'key' : !isKeyId(parsed.keyId)) throw invalidKeyId(arn);
  if (parsed.accountId !== scope.accountId) return { foreignArn: arn };
  const keyId = parsed.kind === 'key' ? parsed.keyId : await targetOf(parsed.aliasName, scope, lookup);
  return { key: await getKey(keyId, scope, lookup) };
}

/** The caller's own key of this id. Throws NotFoundException, also when the id is another account's. */
export async function getKey(keyId: string, scope: ArnScope, { keys }: KeyLookup): Promise<KmsKey> {
  const key = await keys.findKey(scope.region, keyId);
  if (key?.accountId === scope.accountId) return key;
  throw new KmsException('NotFoundException', `Key '${keyArn(scope, keyId)}' does not exist`);
}

async function targetOf(name: string, scope: ArnScope, { aliases }: KeyLookup): Promise<string> {
  const alias = await aliases.findAlias(scope, name);
  if (alias) return alias.targetKeyId;
  throw new KmsException('NotFoundException', `Alias ${aliasArn(scope, name)} is not found.`);
}

function invalidKeyId(identifier: string): KmsException {
  return new KmsException('NotFoundException', `Invalid keyId '${identifier}'`);
}
