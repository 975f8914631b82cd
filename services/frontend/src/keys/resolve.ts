import { aliasArn, type ArnScope, keyArn, parseKmsArn } from '@keyfleet/shared/arn';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { ALIAS_PREFIX, isKeyId } from '@keyfleet/shared/ids';
import type { AliasStore, KeyStore } from '../store/store.ts';
import { type KmsKey, wasGivenTo } from './kms-key.ts';

/** What an identifier names, and who owns it. Only an ARN can name another account's. */
export type Named = { readonly accountId: string } & ({ readonly keyId: string } | { readonly aliasName: string });

export interface KeyLookup {
  readonly keys: Pick<KeyStore, 'findKey'>;
  readonly aliases: Pick<AliasStore, 'findAlias'>;
}

/**
 * Reads an identifier without looking anything up. `kind`: AWS takes aliases for cryptography and DescribeKey, and
 * refuses them for management operations. `scope`: the caller's own account and Region, in which a bare key id or alias
 * name is meant.
 */
export function readIdentifier(identifier: string, kind: 'key' | 'key-or-alias', scope: ArnScope): Named {
  if (identifier.startsWith('arn:')) return readArn(identifier, kind, scope);
  const { accountId } = scope;
  if (identifier.startsWith(ALIAS_PREFIX) && kind === 'key-or-alias') return { accountId, aliasName: identifier };
  if (!hasFormOfKeyId(identifier)) throw invalidKeyId(`'${identifier}'`);
  return { accountId, keyId: identifier };
}

function readArn(arn: string, kind: 'key' | 'key-or-alias', scope: ArnScope): Named {
  const parsed = parseKmsArn(arn);
  if (!parsed) throw new KmsException('InvalidArnException', `Invalid arn ${arn}`);
  if (parsed.region !== scope.region || parsed.partition !== scope.partition) {
    throw new KmsException('NotFoundException', `Invalid arn ${parsed.region}`);
  }
  if (parsed.kind === 'alias' && kind === 'key') throw invalidKeyId(arn);
  if (parsed.kind === 'key' && !hasFormOfKeyId(parsed.keyId)) throw invalidKeyId(parsed.keyId);
  return parsed;
}

/**
 * Throws NotFoundException, also for a key that exists but does not belong to the account named. `scope`: that
 * account's.
 */
export async function findNamed(
  named: Named,
  { scope, lookup }: { scope: ArnScope; lookup: KeyLookup },
): Promise<KmsKey> {
  return 'keyId' in named ? findById(named.keyId, scope, lookup) : findByAlias(named.aliasName, scope, lookup);
}

async function findById(keyId: string, scope: ArnScope, { keys }: KeyLookup): Promise<KmsKey> {
  const found = keys.findKey(scope.region, keyId);
  const key = found instanceof Promise ? await found : found;
  if (key?.accountId === scope.accountId) return key;
  throw new KmsException('NotFoundException', `Key '${keyArn(scope, keyId)}' does not exist`);
}

async function findByAlias(name: string, scope: ArnScope, lookup: KeyLookup): Promise<KmsKey> {
  const alias = await lookup.aliases.findAlias(scope, name);
  const key = alias && (await findById(alias.targetKeyId, scope, lookup));
  if (key && wasGivenTo(key, alias.updatedAt)) return key;
  throw new KmsException('NotFoundException', `Alias ${aliasArn(scope, name)} is not found.`);
}

/** Upper case is not another spelling of a key id, although AWS looks for such a key. */
function hasFormOfKeyId(text: string): boolean {
  return isKeyId(text.toLowerCase());
}

/** `named`: in quotes unless it came in an ARN. */
function invalidKeyId(named: string): KmsException {
  return new KmsException('NotFoundException', `Invalid keyId ${named}`);
}
