import { setImmediate } from 'node:timers/promises';
import { choice, list, structure, text } from '@keyfleet/shared/api/shape';
import type { z } from 'zod';
import type { Page } from '../../store/store.ts';
import { defineAccountRead } from '../account-reads.ts';
import type { NamedPolicy } from '../identity.ts';
import { QueryException } from '../query-exception.ts';
import type { Admitted, IamDeps } from '../query-operation.ts';
import { Arn, paging, PolicyDocument } from './fields.ts';
import { chargeReading, chargeSteps } from '../rates.ts';
import { pageAnswer } from './pages.ts';
import { type Decide, newSimulation, type SimulatedContext } from './simulation.ts';
import { assertInputPolicies, findSource, type PolicySource } from './source-policies.ts';
import { AccountTurns } from './turns.ts';

const contextTypes = ['string', 'stringList', 'numeric', 'numericList', 'boolean', 'booleanList'] as const;
const moreTypes = ['ip', 'ipList', 'binary', 'binaryList', 'date', 'dateList'] as const;
const ContextEntry = structure('ContextEntry', {
  ContextKeyName: text({ min: 5, max: 256 }).optional(),
  ContextKeyValues: list(text()).optional(),
  ContextKeyType: choice([...contextTypes, ...moreTypes]).optional(),
});

const common = {
  ActionNames: list(text({ min: 3, max: 128 })),
  ResourceArns: list(text({ min: 1, max: 2048 })).optional(),
  ContextEntries: list(ContextEntry).optional(),
  PermissionsBoundaryPolicyInputList: list(PolicyDocument, { max: 1 }).optional(),
  /** Not simulated: a request with DryRun tests a key policy. */
  ResourcePolicy: PolicyDocument.optional(),
  ...paging,
};
const ofPrincipal = { PolicySourceArn: Arn, PolicyInputList: list(PolicyDocument).optional(), ...common };
const ofPolicies = { PolicyInputList: list(PolicyDocument), ...common };
type Given = Omit<z.output<z.ZodObject<typeof ofPrincipal>>, 'PolicySourceArn'>;

const simulatePrincipalPolicy = defineAccountRead({
  service: 'iam',
  name: 'SimulatePrincipalPolicy',
  input: ofPrincipal,
  resource: ({ PolicySourceArn }) => PolicySourceArn,
  async run({ input, call }, deps) {
    const source = await findSource(input.PolicySourceArn, call.caller.accountId, deps);
    return simulate('SimulatePrincipalPolicy', { input, source }, { call, deps });
  },
});

const simulateCustomPolicy = defineAccountRead({
  service: 'iam',
  name: 'SimulateCustomPolicy',
  input: ofPolicies,
  async run({ input, call }, deps) {
    const { accountId } = call.caller;
    const source = {
      arn: `arn:${deps.partition}:iam::${accountId}:user/simulated`,
      accountId,
      userId: '',
      policies: [],
    };
    return simulate('SimulateCustomPolicy', { input, source }, { call, deps });
  },
});

interface Simulation {
  readonly input: Given;
  readonly source: PolicySource;
}

/** Evaluates identity policies and a boundary for each action on each resource, in a context given in full. */
async function simulate(
  operation: string,
  { input, source }: Simulation,
  { call, deps }: Pick<Admitted<Given, 'user'>, 'call'> & { readonly deps: IamDeps },
): Promise<object> {
  if (input.ResourcePolicy !== undefined) {
    throw new QueryException('InvalidInput', 'Resource policies are not simulated: send the request with DryRun.');
  }
  const more = namedIn(input, 'PolicyInputList');
  const boundaries = namedIn(input, 'PermissionsBoundaryPolicyInputList');
  const { accountId } = call.caller;
  chargeReading(
    [...source.policies, ...more, ...boundaries].map(({ document }) => document),
    accountId,
    deps,
  );
  assertInputPolicies([...more, ...boundaries].map(({ document }) => document));
  const simulated = {
    ...source,
    policies: [...source.policies, ...more],
    boundary: boundaries[0] ?? source.boundary,
  };
  let spent = 0;
  const onCost = (steps: number): void => void (spent += steps);
  const decide = newSimulation(simulated, contextOf(input.ContextEntries), { policies: deps.policies, onCost });
  return pageAnswer(
    input,
    {
      operation,
      filter: JSON.stringify([source.arn, input.ActionNames, input.ResourceArns]),
      list: (limit, after) =>
        turns.take({ accountId, deadline: call.deadline, clock: deps.clock }, async () => {
          chargeSteps(0, accountId, deps);
          const page = await decideSome(input, { decide, spent: () => spent, limit, from: Number(after ?? 0) });
          chargeSteps(spent + STEPS_PER_RESULT * page.items.length, accountId, deps);
          return page;
        }),
    },
    { call, deps, named: (page) => ({ EvaluationResults: page }) },
  );
}

const turns = new AccountTurns();

function namedIn(
  input: Given,
  member: 'PolicyInputList' | 'PermissionsBoundaryPolicyInputList',
): readonly NamedPolicy[] {
  return (input[member] ?? []).map((document, i) => ({ id: `${member}.${i + 1}`, document }));
}

interface Some {
  readonly decide: Decide;
  /** How many steps the decisions of this request took. */
  readonly spent: () => number;
  readonly limit: number;
  /** The number of decisions on earlier pages. */
  readonly from: number;
}

/** Ours: a page ends once it names so many statements and condition keys, since policies can have thousands. */
const NAMED_IN_PAGE = 2_000;
/** Ours: or once its decisions took so many steps, some milliseconds. A single result may take four times as many. */
const STEPS_IN_PAGE = 1_000_000;
/** Of what a result takes beside its decisions. */
const STEPS_PER_RESULT = 1_000;
/** Other work is let in after so many, about a tenth of a millisecond's. */
const STEPS_AT_ONCE = 25_000;

/** Makes only a page's decisions, since all of them may be a million, and lets other work in between them. */
async function decideSome(
  { ActionNames: actions, ResourceArns: resources = ['*'] }: Given,
  { decide, spent, limit, from }: Some,
): Promise<Page<object>> {
  const all = actions.length * resources.length;
  const to = Math.min(all, from + limit);
  const items: object[] = [];
  let named = 0;
  let lastPause = 0;
  let i = from;
  for (; i < to && named < NAMED_IN_PAGE && spent() < STEPS_IN_PAGE; i++) {
    const result = decide(actions[Math.floor(i / resources.length)]!, resources[i % resources.length]!);
    items.push(result);
    named += result.MatchedStatements.length + result.MissingContextValues.length;
    const done = spent() + STEPS_PER_RESULT * items.length;
    if (done - lastPause < STEPS_AT_ONCE) continue;
    lastPause = done;
    await setImmediate();
  }
  return i < all ? { items, next: String(i) } : { items };
}

function contextOf(entries: Given['ContextEntries'] = []): SimulatedContext {
  return new Map(
    entries.map(({ ContextKeyName: name = '', ContextKeyValues: given = [], ContextKeyType: type = 'string' }) => [
      name.toLowerCase(),
      type.endsWith('List') ? given : given[0],
    ]),
  );
}

export const simulationOperations = [simulatePrincipalPolicy, simulateCustomPolicy];
