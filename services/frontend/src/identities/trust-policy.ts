import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { compilePolicy, type Policy, type PolicyShape, readDocument, type StatementShape } from '../policy/document.ts';
import { assertConditions } from '../policy/given-conditions.ts';
import { bindPolicy, principalArnsOf } from '../policy/bound-policy.ts';
import { malformed } from '../policy/malformed.ts';
import { principalIdsOf } from '../policy/users.ts';
import type { Call } from '../operations/handler.ts';
import type { RoleRecord } from './iam-records.ts';
import type { IamDeps } from './query-operation.ts';
import { assertGivenPrincipals } from '../policy/principals.ts';
import { NotStrictJsonError, parseStrictJson } from '../policy/strict-json.ts';
import { iamKeys } from './access.ts';
import { isWithin } from './iam/documents.ts';
import { QueryException } from './query-exception.ts';
import { issuerName } from './oidc-issuers.ts';
import { IAM_QUOTAS } from './quotas.ts';

/**
 * Reads a trust policy from a caller: who may assume a role. It applies to its role and so has no Resource. Returns it
 * in the form that the role's record stores. Throws MalformedPolicyDocument or LimitExceeded.
 */
export async function givenTrustPolicy(
  document: string,
  { caller }: Call,
  { partition, users }: Pick<IamDeps, 'partition' | 'users'>,
): Promise<Pick<RoleRecord, 'trustPolicy' | 'trustPrincipals'>> {
  const policy = readTrustPolicy(document, partition);
  const missing = (arn: string): Error => malformedDocument(`Invalid principal in policy: "AWS":"${arn}"`);
  const ids = await principalIdsOf(principalArnsOf(policy), { caller, users }, missing);
  const { document: trustPolicy, principals: trustPrincipals } = bindPolicy(document, ids);
  return { trustPolicy, trustPrincipals };
}

function readTrustPolicy(document: string, partition: string): Policy {
  const limit = IAM_QUOTAS.trustPolicyLength;
  if (!isWithin(limit, [document])) {
    throw new QueryException('LimitExceeded', `Cannot exceed quota for ACLSizePerRole: ${limit}`);
  }
  try {
    const { statements, variables } = readDocument(parseStrictJson(document));
    for (const statement of statements) {
      assertStatement(statement, partition);
      assertConditions(statement.Condition, { keys: iamKeys, kind: 'identity policy', variables });
    }
    return compiled({ statements, variables });
  } catch (error) {
    if (error instanceof NotStrictJsonError) throw malformedDocument('This policy contains invalid Json');
    if (error instanceof KmsException) throw malformedDocument(error.message);
    throw error;
  }
}

function malformedDocument(message: string): QueryException {
  return new QueryException('MalformedPolicyDocument', message);
}

function assertStatement(statement: StatementShape, partition: string): void {
  const { Principal, NotPrincipal, Action, NotAction, Resource, NotResource } = statement;
  if (Resource !== undefined || NotResource !== undefined) throw malformed('Has prohibited field Resource');
  if (Principal === undefined || NotPrincipal !== undefined) throw malformed('Missing required field Principal');
  const { Federated = [], ...others } = Principal === '*' ? { AWS: ['*'] } : { ...Principal };
  if (Object.keys(others).length > 0) assertGivenPrincipals(others, partition);
  if (Federated.some((provider) => !providerForm.test(provider)))
    throw malformed(`Invalid principal in policy: "Federated"`);
  if (Object.keys(others).length === 0 && Federated.length === 0) throw malformed('Missing required field Principal');
  const actions = Action ?? NotAction ?? [];
  if (actions.length === 0) throw malformed('Missing required field Action');
  if (actions.some((action) => action !== '*' && !/^sts:[a-z*?]+$/i.test(action))) {
    throw malformed('AssumeRole policy may only specify STS AssumeRole actions.');
  }
}

/** An OIDC provider in IAM's form: its issuer without the scheme. */
const providerForm = /^arn:aws[a-z-]*:iam::\d{12}:oidc-provider\/[!-~]+$/;

export function providerArn(partition: string, accountId: string, issuer: string): string {
  return `arn:${partition}:iam::${accountId}:oidc-provider/${issuerName(issuer)}`;
}

/** A role's stored trust policy, for AWS principals. */
export function parseTrustPolicy(document: string): Policy {
  return compiled(readDocument(JSON.parse(document)));
}

/**
 * The same for callers that an identity provider vouches for: only statements that name the provider allow them. A Deny
 * for everybody applies to them too.
 */
export function parseFederatedTrustPolicy(document: string, provider: string): Policy {
  const { statements, variables } = readDocument(JSON.parse(document));
  const about = statements.filter(({ Effect, Principal }) => {
    if (Principal === undefined) return false;
    if (Principal === '*' || Principal.AWS?.includes('*')) return Effect === 'Deny';
    return Principal.Federated?.includes(provider);
  });
  return compiled({ statements: about.map((statement) => ({ ...statement, Principal: '*' as const })), variables });
}

/** Without a Resource, a statement would have no effect. */
function compiled({ statements, variables }: PolicyShape): Policy {
  return compilePolicy({ statements: statements.map((statement) => ({ ...statement, Resource: ['*'] })), variables });
}
