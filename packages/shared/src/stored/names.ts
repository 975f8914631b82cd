/** One Region of an account, to which aliases and lists belong. */
export interface Scope {
  readonly accountId: string;
  readonly region: string;
}

export interface StoredValue {
  readonly name: string;
  readonly type: 'string' | 'hash' | 'list' | 'zset';
  /** kept: in backups. derived: rebuilt from what is kept. passing: short-lived, and in no backup. */
  readonly role: 'kept' | 'derived' | 'passing';
  /** The greatest length of the string, or of one field, element or entry. */
  readonly maxBytes: number;
}

/** A policy of five versions with fifty tags has 140,000 characters of at most three bytes. */
const RECORD = 1024 * 1024;
/** Sealed secrets, and entries of lists: the longest names a principal. */
const SHORT = 8 * 1024;
const NUMBER = 32;
/** A date and an id (`entryOf`). Of these a thousand are read in each of 15 lists at once. */
const KEY_ENTRY = 128;
/** Constraints of 8,192 characters, a name and three principals. A page of hundreds is read at once. */
const GRANT = 64 * 1024;
/** Of what frontends do by themselves: a kilobyte or two. */
const AUDIT_RECORD = 64 * 1024;
/** As many as a domain token may have (`TOKEN_BYTES` of the domain-manager). */
const DOMAIN_TOKEN = 3 * 1024 * 1024;

/**
 * Everything that Keyfleet stores in Redis, by kind; docs/formats.md describes each value. Values written in one step
 * share a hash tag, the part in braces, so that this works on a Redis Cluster.
 */
export const storedValues = {
  key: { name: 'kf:key:{<region>/<key id>}', type: 'hash', role: 'kept', maxBytes: RECORD },
  accessKey: { name: 'kf:access-key:{<access key id>}', type: 'string', role: 'kept', maxBytes: RECORD },
  accessKeyUse: { name: 'kf:access-key-use:{<access key id>}', type: 'string', role: 'kept', maxBytes: SHORT },
  firstAccessKey: { name: 'kf:first-access-key:{<account>}', type: 'string', role: 'kept', maxBytes: RECORD },
  secret: { name: 'kf:secret:{<name>}', type: 'string', role: 'kept', maxBytes: SHORT },
  /** They have no MAC: in a backup, what somebody had put there would outlive him. */
  fleetKeys: { name: 'kf:fleet-keys:{<name>}', type: 'hash', role: 'passing', maxBytes: SHORT },
  recordKeys: { name: 'kf:record-keys', type: 'string', role: 'kept', maxBytes: NUMBER },
  recordFence: { name: 'kf:record-fence:{<tag>}', type: 'string', role: 'passing', maxBytes: NUMBER },
  aliases: { name: 'kf:aliases:{<account>/<region>}', type: 'hash', role: 'kept', maxBytes: SHORT },
  aliasNames: { name: 'kf:alias-names:{<account>/<region>}', type: 'zset', role: 'derived', maxBytes: SHORT },
  aliasTargets: { name: 'kf:alias-targets:{<account>/<region>}', type: 'zset', role: 'derived', maxBytes: SHORT },
  keys: { name: 'kf:keys:{<account>/<region>/<list>}', type: 'zset', role: 'derived', maxBytes: KEY_ENTRY },
  /** The first release had one list for all keys of an account and Region. */
  oldKeys: { name: 'kf:keys:{<account>/<region>}', type: 'zset', role: 'derived', maxBytes: SHORT },
  due: { name: 'kf:due:{<shard>}', type: 'zset', role: 'derived', maxBytes: SHORT },
  /** Named after the first events stored. By the time of a restore they are recorded. */
  events: { name: 'kf:deletion:{<region>/<key id>}', type: 'hash', role: 'passing', maxBytes: AUDIT_RECORD },
  iam: { name: 'kf:iam:{<account>}', type: 'hash', role: 'kept', maxBytes: RECORD },
  iamNames: { name: 'kf:iam-names:{<account>}', type: 'zset', role: 'derived', maxBytes: SHORT },
  iamLinks: { name: 'kf:iam-links:{<account>}', type: 'zset', role: 'derived', maxBytes: SHORT },
  grants: { name: 'kf:grants:{<region>/<key id>}', type: 'hash', role: 'kept', maxBytes: GRANT },
  grantIndex: { name: 'kf:grant-index:{<region>/<key id>}', type: 'zset', role: 'derived', maxBytes: SHORT },
  retirable: { name: 'kf:retirable:{<region>/<principal>}', type: 'zset', role: 'derived', maxBytes: SHORT },
  keyStores: { name: 'kf:key-stores:{<account>/<region>}', type: 'string', role: 'kept', maxBytes: RECORD },
  keyStoreKeys: { name: 'kf:key-store-keys:{<account>/<region>}', type: 'zset', role: 'derived', maxBytes: SHORT },
  rates: { name: 'kf:rates:{<account>/<region>}', type: 'hash', role: 'passing', maxBytes: SHORT },
  tokens: { name: 'kf:domain:{<domain>}:tokens', type: 'list', role: 'kept', maxBytes: DOMAIN_TOKEN },
  store: { name: 'kf:domain:{<domain>}:store', type: 'hash', role: 'kept', maxBytes: SHORT },
  proposals: { name: 'kf:domain:{<domain>}:proposals', type: 'zset', role: 'passing', maxBytes: SHORT },
  proposal: { name: 'kf:domain:{<domain>}:proposal:<proposal id>', type: 'hash', role: 'passing', maxBytes: RECORD },
  signed: { name: 'kf:domain:{<domain>}:signed:<operator id>', type: 'string', role: 'passing', maxBytes: SHORT },
  lease: { name: 'kf:domain:{<domain>}:lease', type: 'string', role: 'passing', maxBytes: SHORT },
  sighting: { name: 'kf:domain:{<domain>}:served:<generation>', type: 'string', role: 'passing', maxBytes: SHORT },
  confirmed: { name: 'kf:domain:{<domain>}:confirmed', type: 'string', role: 'passing', maxBytes: SHORT },
  /** If restored, it would prove something that is false for the older records beside it. */
  resealProgress: {
    name: 'kf:domain:{<domain>}:reseal:parts:<generation>',
    type: 'hash',
    role: 'passing',
    maxBytes: RECORD,
  },
  /** Formerly a shard was a fixed piece of the key space. */
  oldResealProgress: {
    name: 'kf:domain:{<domain>}:reseal:<generation>',
    type: 'hash',
    role: 'passing',
    maxBytes: RECORD,
  },
  restore: { name: 'kf:restore', type: 'hash', role: 'passing', maxBytes: SHORT },
  beat: { name: 'kf:beat', type: 'string', role: 'passing', maxBytes: SHORT },
} as const satisfies Record<string, StoredValue>;

export type StoredKind = keyof typeof storedValues;

/**
 * Of what no service sets a date on which it vanishes: records, what derives from them, what is to be audited, and the
 * keys that frontends share.
 */
export const lasting: ReadonlySet<StoredKind> = new Set(
  (Object.keys(storedValues) as StoredKind[]).filter(
    (kind) => kind === 'events' || kind === 'fleetKeys' || storedValues[kind].role !== 'passing',
  ),
);

/** The SCAN pattern for every name of Keyfleet. */
export const ALL_NAMES = 'kf:*';
/** Holds the progress of a running restore. */
export const RESTORE = storedValues.restore.name;
/** Lists the record keys that are dropped. */
export const RECORD_KEYS = storedValues.recordKeys.name;
/** Frontends write it to learn whether a master still accepts writes. */
export const BEAT = storedValues.beat.name;
/** The channel that announces every change, in the same step as the change. */
export const CHANGES = 'kf:changes';

/** A channel on which a frontend hears only itself. */
export function beatChannel(id: string): string {
  return `${BEAT}:${id}`;
}

export function keyAt(region: string, keyId: string): string {
  return `kf:key:{${region}/${keyId}}`;
}
/** Events of a key that are still to be recorded. */
export function eventsAt(region: string, keyId: string): string {
  return `kf:deletion:{${region}/${keyId}}`;
}
/** Keys with a date: derived from the records. */
export function dueAt(shard: number): string {
  return `kf:due:{${shard}}`;
}
/** One of the lists of an account's keys; without `list`, the first release's. */
export function keysAt({ accountId, region }: Scope, list?: number): string {
  return list === undefined ? `kf:keys:{${accountId}/${region}}` : `kf:keys:{${accountId}/${region}/${list}}`;
}
/** The aliases themselves, then two lists derived from them: of names, and of names by target. */
export function aliasesAt({ accountId, region }: Scope): readonly [string, string, string] {
  const tag = `{${accountId}/${region}}`;
  return [`kf:aliases:${tag}`, `kf:alias-names:${tag}`, `kf:alias-targets:${tag}`];
}
/** The custom key stores of an account in a Region, then the list of the KMS keys in each. */
export function keyStoresAt({ accountId, region }: Scope): readonly [string, string] {
  const tag = `{${accountId}/${region}}`;
  return [`kf:key-stores:${tag}`, `kf:key-store-keys:${tag}`];
}
export function accessKeyAt(accessKeyId: string): string {
  return `kf:access-key:{${accessKeyId}}`;
}
/** When it was last used. */
export function accessKeyUseAt(accessKeyId: string): string {
  return `kf:access-key-use:{${accessKeyId}}`;
}
export function firstAccessKeyAt(accountId: string): string {
  return `kf:first-access-key:{${accountId}}`;
}
/**
 * What is there: an id, or the claim of whoever makes the access key, which holds its record until that is stored
 * under a name of its own.
 */
export function firstAccessKeyIn(value: string): { readonly accessKeyId: string; readonly record?: string } {
  const end = value.indexOf(' ');
  return end < 0 ? { accessKeyId: value } : { accessKeyId: value.slice(0, end), record: value.slice(end + 1) };
}
/** How much each frontend was asked for in the last second or two. */
export function ratesAt({ accountId, region }: Scope): string {
  return `kf:rates:{${accountId}/${region}}`;
}
export function secretAt(name: string): string {
  return `kf:secret:{${name}}`;
}
/** The keys of one purpose, by domain key. */
export function fleetKeysAt(name: string): string {
  return `kf:fleet-keys:{${name}}`;
}
/** Says which record keys nothing is written under any more, in the slot of a hash tag. */
export function recordFenceAt(tag: string): string {
  return `kf:record-fence:{${tag}}`;
}
/** The IAM records, then what is derived from them: their names in order, and who refers to whom. */
export function iamAt(accountId: string): readonly [string, string, string] {
  const tag = `{${accountId}}`;
  return [`kf:iam:${tag}`, `kf:iam-names:${tag}`, `kf:iam-links:${tag}`];
}
export function tokensAt(domain: string): string {
  return `kf:domain:{${domain}}:tokens`;
}
export function storeAt(domain: string): string {
  return `kf:domain:{${domain}}:store`;
}
export function proposalsAt(domain: string): string {
  return `kf:domain:{${domain}}:proposals`;
}
export function proposalAt(domain: string, proposalId: string): string {
  return `kf:domain:{${domain}}:proposal:${proposalId}`;
}
/** Until when each of the operator's newest signatures counts. */
export function signedAt(domain: string, operatorId: string): string {
  return `kf:domain:{${domain}}:signed:${operatorId}`;
}
export function leaseAt(domain: string): string {
  return `kf:domain:{${domain}}:lease`;
}
export function confirmedAt(domain: string): string {
  return `kf:domain:{${domain}}:confirmed`;
}
export function sightingAt(domain: string, generation: number): string {
  return `kf:domain:{${domain}}:served:${generation}`;
}
export function resealProgressAt(domain: string, generation: number): string {
  return `kf:domain:{${domain}}:reseal:parts:${generation}`;
}

/** What a value under a name is to be; undefined for a name that this release does not know. */
export function storedValueOf(name: string): StoredValue | undefined {
  const kind = storedNameOf(name)?.kind;
  return kind && storedValues[kind];
}

/** The kind of value under a name, and the name's hash tag; undefined for a name that this release does not know. */
export function storedNameOf(name: string): { readonly kind: StoredKind; readonly tag: string } | undefined {
  for (const { kind, form } of forms) {
    const match = form.exec(name);
    if (match !== null) return { kind, tag: match[1] ?? '' };
  }
  return undefined;
}

/** The SCAN pattern for the names of a kind. */
export function patternOf(kind: StoredKind): string {
  return storedValues[kind].name.replace(/\{.*$/, '*');
}

export function isOfKind(name: string, kind: StoredKind): boolean {
  return storedNameOf(name)?.kind === kind;
}

/** Undefined if it does not name aliases or a first release's list of keys. */
export function scopeOf(name: string, kind: 'aliases' | 'oldKeys'): Scope | undefined {
  const stored = storedNameOf(name);
  if (stored?.kind !== kind) return undefined;
  const [accountId = '', region = ''] = stored.tag.split('/');
  return { accountId, region };
}

const forms = Object.entries(storedValues).map(([kind, { name }]) => ({
  kind: kind as StoredKind,
  form: new RegExp(`^${name.replace(/\{(.+)\}/, '\\{($1)\\}').replaceAll(/<[^>]+>/g, '[^{}]+')}$`),
}));
