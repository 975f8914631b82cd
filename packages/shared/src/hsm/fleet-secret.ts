/**
 * A secret of the fleet is a credential that nobody signs with (docs/decisions/0004). Its access key id is
 * `keyfleet-<name>/<domain key id>`, with the domain key that it was made under; `keyfleet-<name>` in the first
 * releases. No other credential's begins so.
 */
const PREFIX = 'keyfleet-';

export function isFleetSecret(accessKeyId: string): boolean {
  return accessKeyId.startsWith(PREFIX);
}

/** Whether it is the secret of this name. */
export function isFleetSecretOf(name: string, accessKeyId: string): boolean {
  return accessKeyId === `${PREFIX}${name}` || accessKeyId.startsWith(`${PREFIX}${name}/`);
}

/** What stands where the domain key's id belongs; undefined in a name without it, and for all other credentials. */
export function domainKeyNamedBy(accessKeyId: string): string | undefined {
  const at = accessKeyId.lastIndexOf('/');
  return isFleetSecret(accessKeyId) && at >= 0 ? accessKeyId.slice(at + 1) : undefined;
}
