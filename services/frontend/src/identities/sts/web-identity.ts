import { integer, text } from '@keyfleet/shared/api/shape';
import { z } from 'zod';
import { evaluateKeyPolicy } from '../../policy/evaluate.ts';
import { type ContextValue, type RequestContext, undecidable } from '../../policy/conditions/context.ts';
import { factsOf, iamKeys } from '../access.ts';
import { Arn } from '../iam/fields.ts';
import { QueryException } from '../query-exception.ts';
import type { Admitted, IamDeps, QueryOperation } from '../query-operation.ts';
import { chargeQuery } from '../rates.ts';
import type { RoleRecord } from '../iam-records.ts';
import { issuerName } from '../oidc-issuers.ts';
import { parseFederatedTrustPolicy, providerArn } from '../trust-policy.ts';
import type { WebIdentity } from '../web-identities.ts';
import {
  assumedRole,
  durationOf,
  findRole,
  limits,
  newCredentials,
  RoleSessionName,
  sessionPolicies,
} from './sessions.ts';

const input = z.object({
  RoleArn: Arn,
  RoleSessionName,
  WebIdentityToken: text({ min: 4, max: 20_000, secret: true, sensitive: true }),
  ProviderId: text({ min: 4, max: 2048 }).optional(),
  ...limits,
  DurationSeconds: integer(900, 43_200).optional(),
});
type Input = z.output<typeof input>;

/**
 * The request is not signed: an identity provider's token says who calls, and the role's trust policy whether that is
 * enough.
 */
export const assumeRoleWithWebIdentity: QueryOperation = {
  service: 'sts',
  name: 'AssumeRoleWithWebIdentity',
  readOnly: false,
  target: undefined,
  unsigned: true,
  input,
  async run(admitted, deps) {
    const { input: given, call } = admitted as object as Admitted<Input, 'role'>;
    const identity = await deps.webIdentities.verify(given.WebIdentityToken, deps.clock.now());
    const role = await findRole(deps, given.RoleArn);
    if (role === undefined || !isTrusted(role, { identity, given, call, deps })) {
      throw new QueryException('AccessDenied', 'Not authorized to perform sts:AssumeRoleWithWebIdentity');
    }
    // Not earlier, so that nobody else can use up the account's rate.
    chargeQuery(assumeRoleWithWebIdentity, { accountId: role.accountId, region: call.region }, deps);
    const session = {
      seconds: durationOf(given, role, false),
      policies: await deps.charged(role.accountId, (iam) => sessionPolicies(given, role.accountId, { ...deps, iam })),
      tags: [],
      transitiveTagKeys: [],
      sessionName: given.RoleSessionName,
      federatedProvider: providerArn(deps.partition, role.accountId, identity.issuer),
    };
    const { credentials, packedPolicySize } = await newCredentials(role, session, { call, deps });
    return {
      Credentials: credentials,
      SubjectFromWebIdentityToken: identity.subject,
      AssumedRoleUser: assumedRole(role, given.RoleSessionName, deps.partition),
      PackedPolicySize: packedPolicySize,
      Provider: providerArn(deps.partition, role.accountId, identity.issuer),
      Audience: identity.audience,
    };
  },
};

interface Asked {
  readonly identity: WebIdentity;
  readonly given: Input;
  readonly call: Admitted<Input, 'role'>['call'];
  readonly deps: IamDeps;
}

function isTrusted(role: RoleRecord, { identity, given, call, deps }: Asked): boolean {
  const provider = providerArn(deps.partition, role.accountId, identity.issuer);
  const policy = parseFederatedTrustPolicy(role.trustPolicy, provider);
  const requester = { arn: provider, accountId: role.accountId, identityPolicies: [] };
  const facts = factsOf(
    {
      call,
      input: { ...given, WebIdentityToken: undefined },
      action: ACTION,
      resource: given.RoleArn,
      ownerId: role.accountId,
    },
    deps.clock.now(),
  );
  const context = withClaims(iamKeys.contextOf(facts), identity);
  return evaluateKeyPolicy(policy, { requester, action: ACTION, resource: given.RoleArn, context }) === 'caller';
}

const ACTION = 'sts:AssumeRoleWithWebIdentity';

/**
 * Claims become condition keys that begin with the issuer: `token.actions.githubusercontent.com:sub`. Condition keys
 * are case-insensitive, claims are not. If two names differ only in case, it is undecidable which is meant, and
 * somebody who can choose one must not be able to pass it off as the other.
 */
function withClaims(context: RequestContext, { issuer, claims }: WebIdentity): RequestContext {
  const prefix = `${issuerName(issuer)}:`.toLowerCase();
  const byName = new Map<string, ContextValue>();
  for (const [name, value] of Object.entries(claims)) {
    const key = prefix + name.toLowerCase();
    byName.set(key, byName.has(key) ? undecidable : valueOf(value));
  }
  return { find: (name) => byName.get(name) ?? context.find(name) };
}

/**
 * Strings, numbers and booleans are values; a list of them is several, and an empty one is as if the claim were not
 * there. No condition can ask for any other claim, and none is decidable for a list that holds anything else.
 */
function valueOf(claim: unknown): ContextValue {
  if (!Array.isArray(claim)) return isValue(claim) ? String(claim) : undefined;
  if (claim.length === 0) return undefined;
  return claim.every(isValue) ? claim.map(String) : undecidable;
}

function isValue(claim: unknown): claim is string | number | boolean {
  return ['string', 'number', 'boolean'].includes(typeof claim);
}
