import type { UpdateAlias } from '@keyfleet/shared/api/aliases';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { keySpecs } from '@keyfleet/shared/key-specs';
import { aliasArn } from '@keyfleet/shared/arn';
import type { KmsKey } from '../../keys/kms-key.ts';
import type { Deps, Handler } from '../handler.ts';
import { ALIASES_PER_KEY, aliasQuotaExceeded } from './alias-quota.ts';

type UpdateAliasDeps = Pick<Deps, 'aliases' | 'keys' | 'clock' | 'partition'>;

export const updateAlias: Handler<typeof UpdateAlias, UpdateAliasDeps> = async (
  { AliasName },
  { key },
  { aliases, keys, clock, partition },
) => {
  const { region, accountId } = key;
  const arn = aliasArn({ partition, region, accountId }, AliasName);
  const alias = await aliases.findAlias(key, AliasName);
  if (!alias) throw notFound(arn);
  const current = await keys.findKey(region, alias.targetKeyId);
  if (current) assertSameKind(arn, current, key);

  const moved = { ...alias, targetKeyId: key.keyId, updatedAt: clock.now() };
  const outcome = await aliases.updateAlias(key, moved, ALIASES_PER_KEY);
  if (outcome === 'missing') throw notFound(arn);
  if (outcome === 'full') throw aliasQuotaExceeded(key.arn);
};

/** An application that uses an alias must not find another kind of key behind it. */
function assertSameKind(arn: string, current: KmsKey, next: KmsKey): void {
  const [from, to] = [keySpecs[current.keySpec].kind, keySpecs[next.keySpec].kind];
  const symmetry = (kind: typeof from): string =>
    kind === 'symmetric' ? 'SYMMETRIC' : kind === 'hmac' ? 'HMAC' : 'ASYMMETRIC';
  if (symmetry(from) !== symmetry(to)) {
    throw new KmsException(
      'ValidationException',
      `Alias ${arn} cannot be changed from a ${symmetry(from)} key to a ${symmetry(to)} key. The type of the current key and the new key must be the same.`,
    );
  }
  if (current.keyUsage !== next.keyUsage) {
    throw new KmsException(
      'ValidationException',
      `Alias ${arn} cannot be changed from a CMK with key usage ${current.keyUsage} to a CMK with key usage ${next.keyUsage}. The key usage of the current CMK and the new CMK must be the same.`,
    );
  }
}

function notFound(arn: string): KmsException {
  return new KmsException('NotFoundException', `Alias ${arn} is not found.`);
}
