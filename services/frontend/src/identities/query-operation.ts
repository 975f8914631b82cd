import { z } from 'zod';
import type { Clock } from '@keyfleet/shared/clock';
import type { AccessKeyUses } from '../background/access-key-uses.ts';
import type { HsmCommands } from '../hsm/commands.ts';
import type { Call } from '../operations/handler.ts';
import type { Markers } from '../operations/markers.ts';
import type { Policies } from '../policy/policies.ts';
import type { Users } from '../policy/users.ts';
import type { RequestRates } from '../quotas/request-rates.ts';
import type { IdentityStore } from '../store/store.ts';
import type { AccountVersions } from './account-versions.ts';
import type { ChargedIam, IamStore } from './iam-store.ts';
import type { IamKind, RecordOf } from './iam-records.ts';
import type { SessionTokens } from './sts-session-token.ts';
import type { WebIdentities } from './web-identities.ts';

/** Everything that IAM and STS operations may use. */
export interface IamDeps {
  /** Charges the caller's account what is read; nobody, of a request that nobody signed. */
  readonly iam: IamStore;
  readonly charged: ChargedIam;
  readonly accessKeys: IdentityStore;
  readonly accessKeyUses: Pick<AccessKeyUses, 'find'>;
  readonly accountVersions: Pick<AccountVersions, 'changed'>;
  readonly sessionTokens: SessionTokens;
  readonly webIdentities: WebIdentities;
  readonly hsm: HsmCommands;
  readonly markers: Markers;
  readonly policies: Policies;
  readonly rates: Pick<RequestRates, 'charge' | 'chargeMore'>;
  readonly users: Users;
  readonly clock: Clock;
  readonly partition: string;
}

/** The subject of an operation, if not the account as a whole. */
export interface Target<K extends IamKind = IamKind> {
  readonly kind: K;
  /**
   * `made`: the operation creates it. `own`: the caller's own user if the request names none. `listed`: all of the
   * kind.
   */
  readonly as: 'named' | 'made' | 'own' | 'listed';
}

/** One authorized request; `record` is what it names, as read. */
export interface Admitted<I, K extends IamKind> {
  readonly input: I;
  readonly call: Call;
  readonly record: RecordOf<K>;
}

/** An operation of IAM or STS. Its parsing, validation, authorization and audit record derive from this. */
export interface QueryOperation {
  readonly service: 'iam' | 'sts';
  readonly name: string;
  readonly readOnly: boolean;
  /** The request is not signed. */
  readonly unsigned?: true;
  readonly input: z.ZodObject;
  /** Undefined if the operation itself decides who may call it. */
  readonly target: Target | undefined;
  /** Further IAM actions that the request needs. */
  readonly also?: (input: Readonly<Record<string, unknown>>) => readonly string[];
  /** The answer's members in AWS's order; undefined for an operation without an answer. */
  readonly run: (admitted: Admitted<never, never>, deps: IamDeps) => Promise<object | undefined | void>;
}

interface Definition<S extends z.ZodRawShape, K extends IamKind> {
  readonly name: string;
  readonly readOnly: boolean;
  readonly target: Target<K>;
  readonly input: S;
  readonly also?: QueryOperation['also'];
  readonly run: (admitted: Admitted<z.output<z.ZodObject<S>>, K>, deps: IamDeps) => Promise<object | undefined | void>;
}

export function defineIam<const S extends z.ZodRawShape, const K extends IamKind>(
  definition: Definition<S, K>,
): QueryOperation {
  return { ...definition, service: 'iam', input: z.object(definition.input) } as object as QueryOperation;
}
