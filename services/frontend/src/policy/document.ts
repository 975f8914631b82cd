import { z } from 'zod';
import { malformed } from './malformed.ts';
import { newMatcher } from './matcher.ts';
import { compilePrincipals, type Principals } from './principals.ts';

/** A policy compiled for evaluation; made once per text. */
export interface Policy {
  readonly statements: readonly Statement[];
}

export interface Statement {
  readonly effect: 'Allow' | 'Deny';
  /** Whom it is about; only key policies say it. */
  readonly principals?: Principals;
  readonly matchesAction: (action: string) => boolean;
  readonly matchesResource: (resource: string) => boolean;
  /**
   * It has a Condition. Conditions are not evaluated in this release, so none is taken any more (given-policy.ts); of one that is
   * stored, an Allow allows nothing and a Deny always denies.
   */
  readonly conditional: boolean;
}

const oneOrMany = z.union([z.string().transform((value) => [value]), z.array(z.string())]);
const scalar = z.union([z.string(), z.number(), z.boolean()]);
const ConditionBlock = z.record(z.string(), z.record(z.string(), z.union([scalar, z.array(scalar)])));

const StatementShape = z.strictObject({
  Sid: z.string().optional(),
  Effect: z.enum(['Allow', 'Deny']),
  Principal: z
    .union([z.literal('*'), z.partialRecord(z.enum(['AWS', 'Service', 'Federated', 'CanonicalUser']), oneOrMany)])
    .optional(),
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

/** Reads a key policy that is stored: an earlier release may have taken it by laxer rules. Throws MalformedPolicyDocumentException. */
export function parseKeyPolicy(text: string): Policy {
  return compilePolicy(readDocument(parseJson(text)));
}

export function compilePolicy(statements: readonly StatementShape[]): Policy {
  return { statements: statements.map(compileStatement) };
}

/** Parses a policy attached to a user or role: it names no principal. Throws MalformedPolicyDocumentException. */
export function parseIdentityPolicy(text: string): Policy {
  const statements = readDocument(parseJson(text));
  if (statements.some(({ Principal }) => Principal !== undefined)) {
    throw malformed('Policy document should not specify a principal.');
  }
  return compilePolicy(statements);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw malformed('This policy contains invalid Json', cause);
  }
}

/** The statements of a document that has nothing but the elements of a policy. Throws MalformedPolicyDocumentException. */
export function readDocument(json: unknown): readonly StatementShape[] {
  const document = DocumentShape.safeParse(json);
  if (!document.success) throw malformed('Syntax errors in policy.', document.error);
  const { Statement: statements } = document.data;
  const contradicts = ({ Action, NotAction, Resource, NotResource }: StatementShape): boolean =>
    (Action !== undefined && NotAction !== undefined) || (Resource !== undefined && NotResource !== undefined);
  if (statements.some(contradicts)) throw malformed('Syntax errors in policy.');
  return statements;
}

function compileStatement(statement: StatementShape): Statement {
  const { Effect, Principal, Action, NotAction, Resource, NotResource, Condition } = statement;
  return {
    effect: Effect,
    ...(Principal !== undefined && { principals: compilePrincipals(Principal) }),
    // Without Action or Resource, as AWS took it until 2025, it does nothing.
    matchesAction: newMatcher(Action, NotAction, { ignoreCase: true }),
    matchesResource: newMatcher(Resource, NotResource, { ignoreCase: false }),
    conditional: Condition !== undefined && Object.keys(Condition).length > 0,
  };
}
