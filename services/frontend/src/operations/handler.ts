import type { InputOf, Operation, OutputOf } from '@keyfleet/shared/api/operation';
import type { Clock } from '@keyfleet/shared/clock';
import type { Attestation } from '../attestation/attestations.ts';
import type { ServiceEvents } from '../audit/service-events.ts';
import type { Grant } from '../grants/grant.ts';
import type { GrantStore } from '../grants/grant-store.ts';
import type { GrantTokens } from '../grants/grant-tokens.ts';
import type { KeyStoreStore } from '../key-stores/key-store.ts';
import type { SecondEncryption } from '../key-stores/second-encryption.ts';
import type { Clusters } from '../cloudhsm/clusters.ts';
import type { XksProxies } from '../xks/proxies.ts';
import type { KmsKey } from '../keys/kms-key.ts';
import type { PublicKeys } from '../keys/public-keys.ts';
import type { HsmCommands } from '../hsm/commands.ts';
import type { RequestRates } from '../quotas/request-rates.ts';
import type { Policies } from '../policy/policies.ts';
import type { Principal } from '../policy/principal.ts';
import type { PrincipalIds, Users } from '../policy/users.ts';
import type { Markers } from './markers.ts';
import type { Alias, AliasStore, KeyStore } from '../store/store.ts';
import type { Recall } from '../store/last-known.ts';
import type { LastUsages } from '../background/last-usages.ts';

/** Who signed the request, as its signature proves. */
export interface Caller extends Principal {
  readonly accessKeyId: string;
}

/** One request after authentication. */
export interface Call {
  readonly caller: Caller;
  /** From the credential scope; one of the Regions that this deployment serves. */
  readonly region: string;
  readonly requestId: string;
  /** The address the request came from. */
  readonly sourceIpAddress: string;
  /** Whether it arrived over TLS. */
  readonly isSecure: boolean;
  readonly userAgent: string;
  /** Milliseconds since the epoch, after which nobody waits for the answer. */
  readonly deadline: number;
  /** Set for cryptography while changes are not heard: then the last known records may serve, and that is recorded. */
  readonly recall?: Recall;
  /** The alias that the request moves or deletes, as it was when the caller was authorized. */
  readonly alias?: Alias | undefined;
  /**
   * The unique ids of the users, roles and sessions that the request names in a policy or a grant, as of that check.
   */
  readonly principalIds?: PrincipalIds | undefined;
  /** The grant that the request ends, as it was when the caller was authorized. */
  readonly grant?: Grant | undefined;
  /** Of the request's Recipient: what its answer must be encrypted to. */
  readonly attestation?: Attestation | undefined;
}

/** `key` is loaded, usable in this operation's sense, and authorized before the handler runs. */
export interface KeyCall extends Call {
  readonly key: KmsKey;
  /** The second key, for an operation that names two. */
  readonly otherKey?: KmsKey;
}

/** Everything that handlers may use; each takes the part it needs. */
export interface Deps {
  readonly keys: KeyStore;
  readonly aliases: AliasStore;
  readonly hsm: HsmCommands;
  readonly publicKeys: Pick<PublicKeys, 'of'>;
  readonly keyStores: KeyStoreStore;
  readonly proxies: Pick<XksProxies, 'checkHealth' | 'checkKey'>;
  readonly secondEncryption: SecondEncryption;
  readonly clusters: Pick<
    Clusters,
    'check' | 'connect' | 'disconnect' | 'generateKey' | 'generateRandom' | 'generateRandomForRecipient'
  >;
  readonly clock: Clock;
  readonly newKeyId: (multiRegion: boolean) => string;
  /** Whether tags may set the id of a new key. */
  readonly developmentTags: boolean;
  /** This deployment's ARN partition. */
  readonly partition: string;
  /** This deployment's Regions. */
  readonly regions: ReadonlySet<string>;
  readonly policies: Policies;
  readonly users: Users;
  readonly markers: Markers;
  /** The most KMS keys that an account may have in a Region. */
  readonly keyQuota: number;
  readonly rates: Pick<RequestRates, 'charge'>;
  readonly grants: GrantStore;
  readonly grantTokens: GrantTokens;
  readonly lastUsages: Pick<LastUsages, 'find'>;
  /** Records what happens to a key besides the request itself. */
  readonly serviceEvents: ServiceEvents;
}

export type Handler<O extends Operation, D extends Partial<Deps> = Deps> = (
  input: InputOf<O>,
  call: O['access'] extends 'key' ? KeyCall : Call,
  deps: D,
) => Promise<OutputOf<O>>;
