import type { CreateAlias } from '@keyfleet/shared/api/aliases';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { aliasArn } from '@keyfleet/shared/arn';
import type { Deps, Handler } from '../handler.ts';
import { ALIASES_PER_KEY, aliasQuotaExceeded } from './alias-quota.ts';

export const createAlias: Handler<typeof CreateAlias, Pick<Deps, 'aliases' | 'clock' | 'partition'>> = async (
  { AliasName },
  { key },
  { aliases, clock, partition },
) => {
  const now = clock.now();
  const alias = { name: AliasName, targetKeyId: key.keyId, createdAt: now, updatedAt: now };
  const outcome = await aliases.insertAlias(key, alias, ALIASES_PER_KEY);
  if (outcome === 'taken') {
    const arn = aliasArn({ partition, region: key.region, accountId: key.accountId }, AliasName);
    throw new KmsException('AlreadyExistsException', `An alias with the name ${arn} already exists`);
  }
  if (outcome === 'full') throw aliasQuotaExceeded(key.arn);
};
