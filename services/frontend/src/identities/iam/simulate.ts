import { setImmediate } from 'node:timers/promises';
import { choice, list, structure, text } from '@keyfleet/shared/api/shape';
import { z } from 'zod';
import type { RequestContext } from '../../policy/conditions/context.ts';
import { type Decision, evaluate } from '../../policy/evaluate.ts';
import type { Principal } from '../../policy/principal.ts';
import type { Page } from '../../store/store.ts';
import { authorizeIam } from '../access.ts';
import { identityArn } from '../callers.ts';
import { defaultDocumentOf, loadIdentity } from '../identity.ts';
import { QueryException } from '../query-exception.ts';
import type { Admitted, IamDeps, QueryOperation } from '../query-operation.ts';
import { findPolicy, noSuch } from '../targets.ts';
import { assertIdentityPolicy } from './documents.ts';
import { Arn, paging, PolicyDocument } from './fields.ts';
import { pageAnswer } from './pages.ts';

const contextTypes = ['string', 'stringList', 'numeric', 'numericList', 'boolean', 'booleanList'] as const;
const moreTypes = ['ip', 'ipList', 'binary', 'binaryList', 'date', 'dateList'] as const;
const ContextEntry = structure('ContextEntry', {
  ContextKeyName: text({ min: 5, max: 256 }).optional(),
  ContextKeyValues: list(text()).optional(),
  ContextKeyType: choice([...contextTypes, ...moreTypes]).optional(),
});

/** Ours, for all policies together: as long as AWS lets one be. They are read in one go. */
const MAX_POLICY_LENGTH = 131_072;

const common = {
  ActionNames: list(text({ min: 3, max: 128 })),
  ResourceArns: list(text({ min: 1, max: 2048 })).optional(),
  ContextEntries: list(ContextEntry).optional(),
  PermissionsBoundaryPolicyInputList: list(PolicyDocument, { max: 1 }).optional(),
  /** Not simulated: a request with DryRun tests a key policy. */
  ResourcePolicy: PolicyDocument.optional(),
  ...paging,
};
const ofPrincipal = z.object({
  PolicySourceArn: Arn,
  PolicyInputList: list(PolicyDocument).optional(),
  ...common,
});
const ofPolicies = z.object({ PolicyInputList: list(PolicyDocument), ...common });
type Given = Omit<z.output<typeof ofPrincipal>, 'PolicySourceArn'>;

const simulatePrincipalPolicy: QueryOperation = {
  service: 'iam',
  name: 'SimulatePrincipalPolicy',
  readOnly: true,
  target: undefined,
  input: ofPrincipal,
  async run(admitted, deps) {
    const { input, call } = admitted as object as Admitted<z.output<typeof ofPrincipal>, 'user'>;
    const { accountId } = call.caller;
    const action = 'iam:SimulatePrincipalPolicy';
    authorizeIam({ call, input, action, resource: input.PolicySourceArn, ownerId: accountId }, deps);
    const source = await principalOf(input.PolicySourceArn, accountId, deps);
    return simulate('SimulatePrincipalPolicy', { input, source }, { call, deps });
  },
};

const simulateCustomPolicy: QueryOperation = {
  service: 'iam',
  name: 'SimulateCustomPolicy',
  readOnly: true,
  target: undefined,
  input: ofPolicies,
  async run(admitted, deps) {
    const { input, call } = admitted as object as Admitted<z.output<typeof ofPolicies>, 'user'>;
    const { accountId } = call.caller;
    authorizeIam({ call, input, action: 'iam:SimulateCustomPolicy', resource: '*', ownerId: accountId }, deps);
    const source = {
      arn: `arn:${deps.partition}:iam::${accountId}:user/simulated`,
      accountId,
      userId: '',
      policies: [],
    };
    return simulate('SimulateCustomPolicy', { input, source }, { call, deps });
  },
};

const sourceForm = /^arn:[^:]+:iam::(\d{12}):(user|role|group)\/(?:.+\/)?([^/]+)$/;

/** Throws NoSuchEntity, also for a principal of another account. */
async function principalOf(arn: string, accountId: string, deps: IamDeps): Promise<Principal> {
  const [, account, kind, name = ''] = sourceForm.exec(arn) ?? [];
  if (account !== accountId) throw new QueryException('NoSuchEntity', `${arn} cannot be found.`);
  if (kind === 'group') {
    const group = await deps.iam.find(accountId, 'group', name);
    if (group === undefined || identityArn(deps.partition, group) !== arn) throw noSuch('group', name);
    const managed = await Promise.all(group.attached.map((policy) => findPolicy(deps, accountId, policy)));
    const attached = managed.flatMap((policy) => (policy ? [defaultDocumentOf(policy) ?? ''] : []));
    const inline = group.inline.map(({ document }) => document);
    return { arn, accountId, userId: group.id, policies: [...inline, ...attached] };
  }
  const identity = await loadIdentity(deps.iam, { accountId, kind: kind as 'user' | 'role', name });
  if (identity === undefined) throw noSuch(kind as 'user' | 'role', name);
  const { record, policies, boundary, tags } = identity;
  // The caller was authorized for exactly this ARN.
  if (identityArn(deps.partition, record) !== arn) throw noSuch(record.kind, name);
  return { arn, accountId, userId: record.id, policies, boundary, tags };
}

interface Simulation {
  readonly input: Given;
  readonly source: Principal;
}

/** Evaluates identity policies and a boundary for each action on each resource, in a context given in full. */
async function simulate(
  operation: string,
  { input, source }: Simulation,
  { call, deps }: Pick<Admitted<Given, 'user'>, 'call'> & { readonly deps: IamDeps },
): Promise<object> {
  const { PolicyInputList: more = [], PermissionsBoundaryPolicyInputList: [boundary = source.boundary] = [] } = input;
  if (input.ResourcePolicy !== undefined) {
    throw new QueryException('InvalidInput', 'Resource policies are not simulated: send the request with DryRun.');
  }
  const documents = [...more, ...(input.PermissionsBoundaryPolicyInputList ?? [])];
  if (documents.join('').length > MAX_POLICY_LENGTH) {
    throw new QueryException('InvalidInput', `The policies are longer than ${MAX_POLICY_LENGTH} characters together.`);
  }
  documents.forEach(assertIdentityPolicy);
  const requester = deps.policies.requester({ ...source, boundary, policies: [...source.policies, ...more] });
  const context = contextOf(input.ContextEntries);
  const decide = (action: string, resource: string): object => ({
    EvalActionName: action,
    EvalResourceName: resource,
    EvalDecision: decisions(evaluate({ requester, action, resource, ownerId: source.accountId, context })),
  });
  return pageAnswer(
    input,
    {
      operation,
      filter: JSON.stringify([source.arn, input.ActionNames, input.ResourceArns]),
      list: (limit, after) => decideSome(input, { decide, limit, from: Number(after ?? 0) }),
    },
    { call, deps, named: (page) => ({ EvaluationResults: page }) },
  );
}

interface Some {
  readonly decide: (action: string, resource: string) => object;
  readonly limit: number;
  /** The number of decisions on earlier pages. */
  readonly from: number;
}

/** Makes only a page's decisions, since all of them may be a million, and lets other work in between them. */
async function decideSome(
  { ActionNames: actions, ResourceArns: resources = ['*'] }: Given,
  { decide, limit, from }: Some,
): Promise<Page<object>> {
  const all = actions.length * resources.length;
  const to = Math.min(all, from + limit);
  const items: object[] = [];
  for (let i = from; i < to; i++) {
    items.push(decide(actions[Math.floor(i / resources.length)]!, resources[i % resources.length]!));
    await setImmediate();
  }
  return to < all ? { items, next: String(to) } : { items };
}

function decisions(decision: Decision): string {
  if (decision === 'allowed') return 'allowed';
  return decision.startsWith('deny') ? 'explicitDeny' : 'implicitDeny';
}

function contextOf(entries: Given['ContextEntries'] = []): RequestContext {
  const values = new Map(
    entries.map(({ ContextKeyName: name = '', ContextKeyValues: given = [], ContextKeyType: type = 'string' }) => [
      name.toLowerCase(),
      type.endsWith('List') ? given : given[0],
    ]),
  );
  return { find: (name) => values.get(name) };
}

export const simulationOperations = [simulatePrincipalPolicy, simulateCustomPolicy];
