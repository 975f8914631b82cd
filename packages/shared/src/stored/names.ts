/** An account's own Region: what an alias or a list belongs to. */
export interface Scope {
  readonly accountId: string;
  readonly region: string;
}

// Where what the frontends store lies in Redis. What is written in one step has one hash tag, so that it works on a Redis Cluster.

export function keyAt(region: string, keyId: string): string {
  return `kf:key:{${region}/${keyId}}`;
}
/** What is to be recorded of a key's deletion, until it is. */
export function deletionAt(region: string, keyId: string): string {
  return `kf:deletion:{${region}/${keyId}}`;
}
/** Keys with a date: derived from the records. */
export function dueAt(shard: number): string {
  return `kf:due:{${shard}}`;
}
/** The aliases themselves, then the lists derived from them: of names, and of names by target. */
export function aliasesAt({ accountId, region }: Scope): readonly [string, string, string] {
  const tag = `{${accountId}/${region}}`;
  return [`kf:aliases:${tag}`, `kf:alias-names:${tag}`, `kf:alias-targets:${tag}`];
}
export function accessKeyAt(accessKeyId: string): string {
  return `kf:access-key:{${accessKeyId}}`;
}
export function firstAccessKeyAt(accountId: string): string {
  return `kf:first-access-key:{${accountId}}`;
}
export function secretAt(name: string): string {
  return `kf:secret:{${name}}`;
}

/** Whether it is a list that says nothing which the records and aliases do not say. */
export function isDerived(name: string): boolean {
  return /^kf:(keys|due|alias-names|alias-targets|iam-names|iam-links|grant-index|retirable):/.test(name);
}

/** Undefined when it is not the name of aliases. */
export function scopeOfAliases(name: string): Scope | undefined {
  const [, accountId, region] = /^kf:aliases:\{([^/]+)\/(.+)\}$/.exec(name) ?? [];
  return accountId === undefined || region === undefined ? undefined : { accountId, region };
}

export function isKeyRecord(name: string): boolean {
  return name.startsWith('kf:key:');
}
