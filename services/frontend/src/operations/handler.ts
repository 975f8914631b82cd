import type { InputOf, Operation, OutputOf } from '@keyfleet/shared/api/operation';
import type { Clock } from '@keyfleet/shared/clock';
import type { ServiceEvents } from '../audit/service-events.ts';
import type { Grant } from '../grants/grant.ts';
import type { GrantStore } from '../grants/grant-store.ts';
import type { GrantTokens } from '../grants/grant-tokens.ts';
import type { KeyStoreStore } from '../key-stores/key-store.ts';
import type { SecondEncryption } from '../key-stores/second-encryption.ts';
import type { Clusters } from '../clusters/clusters.ts';
import type { XksProxies } from '../xks/proxies.ts';
import type { KmsKey } from '../keys/kms-key.ts';
import type { HsmCommands } from '../hsm/commands.ts';
import type { RequestRates } from '../quotas/request-rates.ts';
import type { Policies } from '../policy/policies.ts';
import type { Principal } from '../policy/principal.ts';
import type { PrincipalIds, Users } from '../policy/users.ts';
import type { Markers } from './markers.ts';
import type { Alias, AliasStore, KeyStore } from '../store/store.ts';
import type { LastUsages } from '../background/last-usages.ts';

/** Who signed the request, as proven by its signature. */
export interface Caller extends Principal {
  readonly accessKeyId: string;
}

/** One request, once it is authenticated. */
export interface Call {
  readonly caller: Caller;
  /** From the credential scope; one of the Regions this deployment serves. */
  readonly region: string;
  readonly requestId: string;
  /** Where it came from. */
  readonly sourceIpAddress: string;
  /** Whether it came over TLS. */
  readonly isSecure: boolean;
  readonly userAgent: string;
  /** Milliseconds since the epoch after which nobody waits for the answer. */
  readonly deadline: number;
  /** The alias that the request moves or deletes, as the caller was admitted to it. */
  readonly alias?: Alias | undefined;
  /**
   * Of the users, roles and sessions that the request names in a policy or a grant, as they were when it was checked.
   */
  readonly principalIds?: PrincipalIds | undefined;
  /** The grant that the request ends, as the caller was admitted to it. */
  readonly grant?: Grant | undefined;
}

/** `key` is loaded, usable in this operation's sense and authorized before the handler exists. */
export interface KeyCall extends Call {
  readonly key: KmsKey;
  /** The second key of an operation that names two. */
  readonly otherKey?: KmsKey;
}

/** What handlers may use; each takes the part it needs. */
export interface Deps {
  readonly keys: KeyStore;
  readonly aliases: AliasStore;
  readonly hsm: HsmCommands;
  readonly keyStores: KeyStoreStore;
  readonly proxies: Pick<XksProxies, 'checkHealth' | 'checkKey'>;
  readonly secondEncryption: SecondEncryption;
  readonly clusters: Pick<Clusters, 'check' | 'connect' | 'generateKey' | 'generateRandom'>;
  readonly clock: Clock;
  readonly newKeyId: (multiRegion: boolean) => string;
  /** Whether tags may say the id of a new key. */
  readonly developmentTags: boolean;
  /** The ARN partition of this deployment. */
  readonly partition: string;
  /** The Regions of this deployment. */
  readonly regions: ReadonlySet<string>;
  readonly policies: Policies;
  readonly users: Users;
  readonly markers: Markers;
  /** KMS keys of an account in a Region. */
  readonly keyQuota: number;
  readonly rates: Pick<RequestRates, 'charge'>;
  readonly grants: GrantStore;
  readonly grantTokens: GrantTokens;
  readonly lastUsages: Pick<LastUsages, 'find'>;
  /** For what happens to a key besides the request itself. */
  readonly serviceEvents: ServiceEvents;
}

export type Handler<O extends Operation, D extends Partial<Deps> = Deps> = (
  input: InputOf<O>,
  call: O['access'] extends 'key' ? KeyCall : Call,
  deps: D,
) => Promise<OutputOf<O>>;
