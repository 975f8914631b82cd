import type { DeleteAlias } from '@keyfleet/shared/api/aliases';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { aliasArn } from '@keyfleet/shared/arn';
import type { Deps, Handler } from '../handler.ts';

export const deleteAlias: Handler<typeof DeleteAlias, Pick<Deps, 'aliases' | 'partition'>> = async (
  { AliasName },
  { caller: { accountId }, region, alias },
  { aliases, partition },
) => {
  if (alias && (await aliases.deleteAlias({ accountId, region }, alias))) return;
  const arn = aliasArn({ partition, region, accountId }, AliasName);
  throw new KmsException('NotFoundException', `Alias ${arn} is not found.`);
};
