import { askedKeys } from '../../policy/asked-keys.ts';
import type { RequestContext } from '../../policy/conditions/context.ts';
import type { Policy } from '../../policy/document.ts';
import { type Decision, evaluate, matchesOf } from '../../policy/evaluate.ts';
import type { Policies } from '../../policy/policies.ts';
import { type Span, statementSpans } from '../../policy/statement-spans.ts';
import type { NamedPolicy } from '../identity.ts';
import type { PolicySource } from './source-policies.ts';

/** A value for each condition key that the simulated request has, by name in lower case. */
export type SimulatedContext = ReadonlyMap<string, string | readonly string[] | undefined>;

/** A member of EvaluationResults. */
export interface Result {
  readonly EvalActionName: string;
  readonly EvalResourceName: string;
  readonly EvalDecision: Verdict;
  readonly MatchedStatements: readonly object[];
  readonly MissingContextValues: readonly string[];
  readonly PermissionsBoundaryDecisionDetail: object | undefined;
}

type Verdict = 'allowed' | 'explicitDeny' | 'implicitDeny';

export type Decide = (action: string, resource: string) => Result;

interface SimulationDeps {
  readonly policies: Pick<Policies, 'requester'>;
  /** Told how many steps a decision cost, each of the few that a result takes. */
  readonly onCost: (steps: number) => void;
}

/** Decides by the source's policies and boundary, in a context given in full. */
export function newSimulation(
  source: PolicySource,
  given: SimulatedContext,
  { policies, onCost }: SimulationDeps,
): Decide {
  const { boundary, accountId } = source;
  const documents = source.policies.map(({ document }) => document);
  const requester = policies.requester({ ...source, policies: documents, boundary: boundary?.document });
  const context: RequestContext = { find: (name) => given.get(name), onCost };
  const named = boundary === undefined ? source.policies : [...source.policies, boundary];
  const compiled = [...requester.identityPolicies, ...(requester.boundary ? [requester.boundary] : [])];
  const show = newStatements(named);
  const MissingContextValues = askedKeys(named.map(({ document }) => document)).filter(
    (name) => given.get(name.toLowerCase()) === undefined,
  );
  return (action, resource) => {
    const request = { action, resource, context };
    const verdict = verdictOf(evaluate({ ...request, requester, ownerId: accountId }));
    const effect = effects[verdict];
    return {
      EvalActionName: action,
      EvalResourceName: resource,
      EvalDecision: verdict,
      MatchedStatements: effect === undefined ? [] : show(matchesOf(compiled, effect, request)),
      MissingContextValues,
      PermissionsBoundaryDecisionDetail: requester.boundary && {
        AllowedByPermissionsBoundary: allows(requester.boundary, request),
      },
    };
  };
}

type Asked = Parameters<typeof matchesOf>[2];

function allows(policy: Policy, request: Asked): boolean {
  const has = (effect: 'Allow' | 'Deny'): boolean => matchesOf([policy], effect, request).flat().length > 0;
  return !has('Deny') && has('Allow');
}

/** Shows which statements of each policy decided, as MatchedStatements. */
function newStatements(policies: readonly NamedPolicy[]) {
  const spans: (readonly Span[] | undefined)[] = [];
  return (matches: readonly (readonly number[])[]): object[] =>
    policies.flatMap(({ id, document }, i) =>
      (matches[i] ?? []).map((statement) => {
        const known = (spans[i] ??= statementSpans(document));
        const { start, end } = known[statement]!;
        // The type that AWS answers, although its model has no such value.
        return { SourcePolicyId: id, SourcePolicyType: 'IAM Policy', StartPosition: start, EndPosition: end };
      }),
    );
}

function verdictOf(decision: Decision): Verdict {
  if (decision === 'allowed') return 'allowed';
  return decision.startsWith('deny') ? 'explicitDeny' : 'implicitDeny';
}

/** The effect of the statements that a verdict comes from. */
const effects = { allowed: 'Allow', explicitDeny: 'Deny', implicitDeny: undefined } as const;
