import type { UpdateAlias } from '@keyfleet/shared/api/aliases';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { aliasArn } from '@keyfleet/shared/arn';
import type { Deps, Handler } from '../handler.ts';
import { ALIASES_PER_KEY, aliasQuotaExceeded } from './alias-quota.ts';

type UpdateAliasDeps = Pick<Deps, 'aliases' | 'clock' | 'partition'>;

export const updateAlias: Handler<typeof UpdateAlias, UpdateAliasDeps> = async (
  { AliasName },
  { key, alias },
  { aliases, clock, partition },
) => {
  const { region, accountId } = key;
  const arn = aliasArn({ partition, region, accountId }, AliasName);
  if (!alias) throw notFound(arn);

  const moved = { ...alias, targetKeyId: key.keyId, updatedAt: clock.now() };
  const outcome = await aliases.updateAlias(key, moved, { from: alias.targetKeyId, quota: ALIASES_PER_KEY });
  if (outcome === 'missing') throw notFound(arn);
  if (outcome === 'full') throw aliasQuotaExceeded(key.arn);
};

function notFound(arn: string): KmsException {
  return new KmsException('NotFoundException', `Alias ${arn} is not found.`);
}
