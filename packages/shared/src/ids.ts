import { randomUUID } from 'node:crypto';

/** Matches the whole text of an AWS account id. */
export const ACCOUNT_ID = /^[0-9]{12}$/;

const KEY_ID = /^(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|mrk-[0-9a-f]{32})$/;

export const ALIAS_PREFIX = 'alias/';
/** Only the service itself may use such names. */
export const RESERVED_ALIAS_PREFIX = 'alias/aws/';

/**
 * Whether the text is a UUID in lower case with dashes, or `mrk-` and 32 hex digits in lower case for a multi-Region
 * key.
 */
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

/** Whether it is an alias name or alias ARN, even if no such alias can exist. */
export function isAlias(identifier: string): boolean {
  return (
    identifier.startsWith(ALIAS_PREFIX) || (identifier.startsWith('arn:') && identifier.includes(`:${ALIAS_PREFIX}`))
  );
}

/** With its prefix, as in every request and response. */
export function isAliasName(text: string): boolean {
  return text.startsWith(ALIAS_PREFIX) && text.length > ALIAS_PREFIX.length;
}
