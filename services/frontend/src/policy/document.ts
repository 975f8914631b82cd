import { z } from 'zod';
import { compileArns, compileTexts, not, type Test, variablesOf } from './conditions/patterns.ts';
import { type Condition, compileCondition, type Effect, keysOf } from './conditions/condition.ts';
import { compiledBytesOf } from './compiled-bytes.ts';
import { malformed } from './malformed.ts';
import { compilePrincipals, type Principals } from './principals.ts';

/** A policy compiled for evaluation, once per text. */
export interface Policy {
  readonly statements: readonly Statement[];
  /** The condition keys that it asks for, in lower case, which must be known to evaluate it. */
  readonly keys: ReadonlySet<string>;
  /** Roughly what it takes in memory. */
  readonly bytes: number;
}

export interface Statement {
  readonly effect: Effect;
  /** Whom it applies to; only key policies say this. */
  readonly principals?: Principals;
  /** Whom it does not apply to, in a Deny. */
  readonly notPrincipals?: Principals;
  readonly matchesAction: Test;
  readonly matchesResource: Test;
  readonly condition?: Condition;
}

const oneOrMany = z.union([z.string().transform((value) => [value]), z.array(z.string())]);
const scalar = z.union([z.string(), z.number(), z.boolean()]).transform(String);
const ConditionBlock = z.record(
  z.string(),
  z.record(z.string(), z.union([scalar.transform((value) => [value]), z.array(scalar)])),
);
const PrincipalBlock = z.union([
  z.literal('*'),
  z.partialRecord(z.enum(['AWS', 'Service', 'Federated', 'CanonicalUser']), oneOrMany),
]);

const StatementShape = z.strictObject({
  Sid: z.string().optional(),
  Effect: z.enum(['Allow', 'Deny']),
  Principal: PrincipalBlock.optional(),
  NotPrincipal: PrincipalBlock.optional(),
  Action: oneOrMany.optional(),
  NotAction: oneOrMany.optional(),
  Resource: oneOrMany.optional(),
  NotResource: oneOrMany.optional(),
  Condition: ConditionBlock.optional(),
});
export type StatementShape = z.output<typeof StatementShape>;

const DocumentShape = z.strictObject({
  Version: z.enum(['2008-10-17', '2012-10-17']).optional(),
  Id: z.string().optional(),
  Statement: z.union([StatementShape.transform((statement) => [statement]), z.array(StatementShape).min(1)]),
});

/** A parsed policy. */
export interface PolicyShape {
  readonly statements: readonly StatementShape[];
  /** Whether `${...}` stands for a value from the request: since version 2012-10-17. */
  readonly variables: boolean;
}

/**
 * Reads a stored key policy, which an earlier release may have accepted under laxer rules. Throws
 * MalformedPolicyDocumentException.
 */
export function parseKeyPolicy(text: string): Policy {
  return compilePolicy(readDocument(parseJson(text)));
}

export function compilePolicy({ statements, variables }: PolicyShape): Policy {
  return {
    bytes: compiledBytesOf(statements),
    statements: statements.map((statement) => compileStatement(statement, variables)),
    keys: new Set(statements.flatMap((statement) => keysIn(statement, variables))),
  };
}

/** Parses a policy attached to a user or role, which names no principal. Throws MalformedPolicyDocumentException. */
export function parseIdentityPolicy(text: string): Policy {
  const shape = readDocument(parseJson(text));
  if (shape.statements.some(({ Principal, NotPrincipal }) => Principal !== undefined || NotPrincipal !== undefined)) {
    throw malformed('Policy document should not specify a principal.');
  }
  return compilePolicy(shape);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw malformed('This policy contains invalid Json', cause);
  }
}

/** A document that contains nothing but policy elements. Throws MalformedPolicyDocumentException. */
export function readDocument(json: unknown): PolicyShape {
  const document = DocumentShape.safeParse(json);
  if (!document.success) throw malformed('Syntax errors in policy.', document.error);
  const { Statement: statements, Version } = document.data;
  if (statements.some(isContradictory)) throw malformed('Syntax errors in policy.');
  return { statements, variables: Version === '2012-10-17' };
}

function isContradictory(statement: StatementShape): boolean {
  const { Effect, Principal, NotPrincipal, Action, NotAction, Resource, NotResource } = statement;
  return (
    (Action !== undefined && NotAction !== undefined) ||
    (Resource !== undefined && NotResource !== undefined) ||
    (Principal !== undefined && NotPrincipal !== undefined) ||
    // It would admit everybody else, in every account (IAM User Guide, "NotPrincipal").
    (NotPrincipal !== undefined && Effect === 'Allow')
  );
}

function compileStatement(statement: StatementShape, variables: boolean): Statement {
  const { Effect, Principal, NotPrincipal, Action, NotAction, Resource, NotResource, Condition } = statement;
  return {
    effect: Effect,
    ...(Principal !== undefined && { principals: compilePrincipals(Principal) }),
    ...(NotPrincipal !== undefined && { notPrincipals: compilePrincipals(NotPrincipal) }),
    // A statement without Action or Resource, which AWS accepted until 2025, has no effect.
    matchesAction: eitherOf(Action, NotAction, (actions) =>
      compileTexts(actions, { variables: false, wildcards: true, ignoreCase: true }),
    ),
    matchesResource: eitherOf(Resource, NotResource, (arns) => compileArns(arns, { variables, completes: true })),
    ...(Condition !== undefined &&
      Object.keys(Condition).length > 0 && { condition: compileCondition(Condition, variables) }),
  };
}

function eitherOf(
  listed: readonly string[] | undefined,
  notListed: readonly string[] | undefined,
  compile: (texts: readonly string[]) => Test,
): Test {
  if (listed) return compile(listed);
  if (!notListed) return () => false;
  const excluded = compile(notListed);
  return (value, context) => not(excluded(value, context));
}

function keysIn({ Resource, NotResource, Condition = {} }: StatementShape, variables: boolean): string[] {
  const resources = [...(Resource ?? []), ...(NotResource ?? [])];
  const ofResources = resources.flatMap((resource) => variablesOf(resource, variables));
  return [...ofResources.map(({ key }) => key), ...keysOf(Condition, variables)];
}
