import { runSimulation } from '@cloud-copilot/iam-simulate';
import { parseIdentityPolicy, parseKeyPolicy, type Policy } from '@keyfleet/frontend/policy/document';
import { type Decision, evaluate } from '@keyfleet/frontend/policy/evaluate';
import type { Document, PolicyCase, Statement } from './cases.ts';

export type Answer = 'Allowed' | 'ExplicitlyDenied' | 'ImplicitlyDenied';

/** How this repository decides. */
export function decisionOf(one: PolicyCase): Decision {
  const own = (document: Document): Policy => parseIdentityPolicy(JSON.stringify(document));
  const byName = new Map(Object.entries(one.context).map(([name, value]) => [name.toLowerCase(), value]));
  return evaluate({
    requester: {
      arn: one.principal,
      accountId: one.principalAccount,
      identityPolicies: one.identity.map(own),
      boundary: one.boundary && own(one.boundary),
      sessionPolicies: one.session && [own(one.session)],
    },
    action: one.action,
    resource: one.resource,
    ownerId: one.owner,
    keyPolicy: parseKeyPolicy(JSON.stringify(one.keyPolicy)),
    context: { find: (name) => byName.get(name) },
  });
}

/** How Cloud Copilot's simulator of IAM decides (AGPL: a tool of these tests, which nothing that runs imports). */
export async function oracleAnswer(one: PolicyCase): Promise<Answer> {
  const named = (policy: Document, i: number) => ({ name: `p${i}`, policy });
  const result = await runSimulation(
    {
      request: {
        principal: one.principal,
        action: one.action,
        resource: { resource: one.resource, accountId: one.owner },
        contextVariables: one.context,
      },
      identityPolicies: one.identity.map(named),
      resourcePolicy: one.keyPolicy,
      ...(one.boundary && { permissionBoundaryPolicies: [named(one.boundary, 0)] }),
      ...(one.session && { sessionPolicy: one.session }),
      serviceControlPolicies: [],
      resourceControlPolicies: [],
    },
    { simulationMode: 'Strict' },
  );
  if (result.resultType === 'error') throw new Error(`the oracle cannot decide: ${JSON.stringify(result.errors)}`);
  return result.overallResult;
}

/** Whether both decide alike. A denial of a foreigner whom the key policy does not know gives no further reason. */
export function agrees(one: PolicyCase, ours: Decision, theirs: Answer): boolean {
  if (one.owner !== one.principalAccount && ours === 'no-key-policy') return theirs !== 'Allowed';
  if (ours === 'allowed') return theirs === 'Allowed';
  return theirs === (ours.startsWith('deny-') ? 'ExplicitlyDenied' : 'ImplicitlyDenied');
}

/** Where the oracle is known to differ from AWS's documentation. */
export interface Difference {
  readonly why: string;
  /** Of the IAM User Guide. */
  readonly page: string;
  readonly concerns: (one: PolicyCase) => boolean;
}

function statementsOf({
  keyPolicy,
  identity,
  boundary,
  session,
}: PolicyCase): readonly (Statement & { version: string })[] {
  return [keyPolicy, ...identity, boundary, session].flatMap((document) =>
    document ? document.Statement.map((statement) => ({ ...statement, version: document.Version })) : [],
  );
}

function operatorsOf(one: PolicyCase): readonly { readonly operator: string; readonly values: string }[] {
  return statementsOf(one).flatMap(({ Condition = {} }) =>
    Object.entries(Condition).map(([operator, keys]) => ({ operator, values: JSON.stringify(keys) })),
  );
}

export const differences: readonly Difference[] = [
  {
    why: 'NotPrincipal leaves out only who is listed with their account, a session with its role, and never who has a boundary; the oracle: any one of them.',
    page: 'reference_policies_elements_notprincipal',
    concerns: ({ keyPolicy }) => keyPolicy.Statement.some((statement) => 'NotPrincipal' in statement),
  },
  {
    why: 'A negated operator holds for a variable that has no value; the oracle: nothing holds for it.',
    page: 'reference_policies_variables#policy-vars-no-value',
    concerns: (one) =>
      operatorsOf(one).some(({ operator, values }) => /Not/.test(operator) && values.includes('${aws:')),
  },
  {
    why: 'A resource whose variable has no value matches nothing, so NotResource matches; the oracle: the statement does nothing.',
    page: 'reference_policies_variables#policy-vars-no-value',
    concerns: (one) => statementsOf(one).some(({ NotResource }) => JSON.stringify(NotResource ?? '').includes('${')),
  },
  {
    why: 'IfExists holds for a request without the key, after ForAnyValue too; the oracle: ForAnyValue decides.',
    page: 'reference_policies_elements_condition_operators#Conditions_IfExists',
    concerns: (one) => operatorsOf(one).some(({ operator }) => /^ForAnyValue:.*IfExists$/.test(operator)),
  },
  {
    why: 'A session that the key policy names itself, or by a star, is not limited by what its session policy does not allow; the oracle: always.',
    page: 'access_policies#policies_session',
    concerns: ({ session }) => session !== undefined,
  },
  {
    why: '0.0.0.0/0 is every IPv4 address (RFC 4632); the oracle shifts by 32, which JavaScript does not, and takes it for one address.',
    page: 'reference_policies_elements_condition_operators#Conditions_IPAddress',
    concerns: (one) => operatorsOf(one).some(({ values }) => values.includes('0.0.0.0/0')),
  },
  {
    why: 'Before version 2012-10-17 a variable is text; the oracle replaces it in any version.',
    page: 'reference_policies_variables',
    concerns: (one) =>
      statementsOf(one).some(
        ({ version, ...statement }) => version !== '2012-10-17' && JSON.stringify(statement).includes('${'),
      ),
  },
];
