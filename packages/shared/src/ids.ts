import { randomUUID } from 'node:crypto';

/** The whole text of an AWS account id. */
export const ACCOUNT_ID = /^[0-9]{12}$/;

const KEY_ID = /^(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|mrk-[0-9a-f]{32})$/;

export const ALIAS_PREFIX = 'alias/';
/** Names that only the service itself may give. */
export const RESERVED_ALIAS_PREFIX = 'alias/aws/';

/** A UUID in lower case with dashes, or `mrk-` and 32 hex digits in lower case for a multi-Region key. */
export function isKeyId(text: string): boolean {
  return KEY_ID.test(text);
}

export function isMultiRegionKeyId(keyId: string): boolean {
  return keyId.startsWith('mrk-');
}

export function newKeyId(multiRegion: boolean): string {
  const uuid = randomUUID();
  return multiRegion ? `mrk-${uuid.replaceAll('-', '')}` : uuid;
}

/** An alias name or alias ARN, whether or not there can be such an alias. */
export function isAlias(identifier: string): boolean {
  return (
    identifier.startsWith(ALIAS_PREFIX) || (identifier.startsWith('arn:') && identifier.includes(`:${ALIAS_PREFIX}`))
  );
}

/** With its prefix, as every request and response has it. */
export function isAliasName(text: string): boolean {
  return text.startsWith(ALIAS_PREFIX) && text.length > ALIAS_PREFIX.length;
}
