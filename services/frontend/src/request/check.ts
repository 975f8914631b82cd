import type { Attestation } from '../attestation/attestations.ts';
import type { AttestationError } from '../attestation/errors.ts';
import type { Operation } from '@keyfleet/shared/api/operation';
import type { Grant } from '../grants/grant.ts';
import type { GrantName } from '../grants/grant-token.ts';
import type { KmsKey } from '../keys/kms-key.ts';
import type { Call, Deps } from '../operations/handler.ts';
import type { PrincipalIds } from '../policy/users.ts';
import type { LastKnown } from '../store/last-known.ts';
import type { Alias } from '../store/store.ts';

/** A request whose members are valid, before its handler. */
export interface CheckedRequest<I = Readonly<Record<string, unknown>>> {
  readonly operation: Operation;
  readonly input: I;
  readonly call: Call;
  readonly deps: Deps;
  /** The keys that the request names, in the registry's order; set once `access` has authorized the caller for them. */
  readonly keys: KmsKey[];
  /** Where to find keys while the store may be away; undefined: in the store. */
  readonly lastKnown: LastKnown | undefined;
  /** What the document of the request's Recipient proves, or why it proves nothing; undefined: there is none. */
  readonly attested: Attestation | AttestationError | undefined;
  /** The alias that the request moves or deletes, as `access` authorized it. */
  alias: Alias | undefined;
  /** The grants whose tokens the request carries. */
  grantTokens: readonly GrantName[];
  /** The unique ids of the users, roles and sessions that the request names in a policy or a grant. */
  principalIds: PrincipalIds | undefined;
  /** The grant that the request ends, once found. */
  grant: Grant | undefined;
}

/** One reason to refuse a request. */
export interface Check<I = object> {
  /** What the check ensures, for the documentation. */
  readonly says: string;
  /** Throws KmsException. */
  readonly run: (request: CheckedRequest<I>) => void | Promise<void>;
}

export function check<I = object>(says: string, run: Check<I>['run']): Check<I> {
  return { says, run };
}

/** The handler's place in the order. */
export const work = Symbol('work');

export type Step<I> = Check<I> | typeof work;
