import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { ALIAS_PREFIX, isAliasName, RESERVED_ALIAS_PREFIX } from '@keyfleet/shared/ids';

/** Throws for a colon: the model's pattern lets it through, the service does not. */
export function assertAliasCharacters(name: string): void {
  if (!name.includes(':')) return;
  throw new KmsException('InvalidAliasNameException', `${name} contains invalid characters for an alias`);
}

/** Throws unless `name` can be that of a customer's alias. */
export function assertAliasName(name: string): void {
  if (!isAliasName(name)) {
    throw new KmsException(
      'ValidationException',
      `Alias must start with the prefix "${ALIAS_PREFIX}". Please see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html`,
    );
  }
  if (name.startsWith(RESERVED_ALIAS_PREFIX)) throw new KmsException('NotAuthorizedException');
}
