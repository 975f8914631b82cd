import { KmsException } from '@keyfleet/shared/errors/exceptions';
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
  /** It has a Condition. Conditions are not evaluated yet, so such an Allow allows nothing and such a Deny always denies. */
  readonly conditional: boolean;
}

/** AWS's documented limit, in bytes; the model's own maximum is higher. */
const MAX_KEY_POLICY_BYTES = 32_768;

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
type StatementShape = z.output<typeof StatementShape>;

const DocumentShape = z.strictObject({
  Version: z.enum(['2008-10-17', '2012-10-17']).optional(),
  Id: z.string().optional(),
  Statement: z.union([StatementShape.transform((statement) => [statement]), z.array(StatementShape).min(1)]),
});

/** Parses a key policy that a caller gives. Throws LimitExceededException or MalformedPolicyDocumentException. */
export function parseKeyPolicy(text: string): Policy {
  if (Buffer.byteLength(text, 'utf8') > MAX_KEY_POLICY_BYTES) {
    throw new KmsException('LimitExceededException', `The key policy is larger than ${MAX_KEY_POLICY_BYTES} bytes.`);
  }
  const statements = parseDocument(text);
  for (const { Principal, Condition } of statements) {
    if (Principal === undefined) throw malformed('Policy contains a statement with no principal');
    assertNotOverlyPermissive(Condition);
  }
  return { statements: statements.map(compileStatement) };
}

/** Parses a policy attached to a user or role: it names no principal. Throws MalformedPolicyDocumentException. */
export function parseIdentityPolicy(text: string): Policy {
  const statements = parseDocument(text);
  if (statements.some(({ Principal }) => Principal !== undefined)) {
    throw malformed('Policy document should not specify a principal.');
  }
  return { statements: statements.map(compileStatement) };
}

function parseDocument(text: string): readonly StatementShape[] {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw malformed('This policy contains invalid Json', cause);
  }
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
    // A statement without Action or Resource is accepted by AWS and does nothing.
    matchesAction: newMatcher(Action, NotAction, { ignoreCase: true }),
    matchesResource: newMatcher(Resource, NotResource, { ignoreCase: false }),
    conditional: Condition !== undefined && Object.keys(Condition).length > 0,
  };
}

/** AWS refuses ForAllValues on a single-valued key: it would match requests that do not have the value at all. */
function assertNotOverlyPermissive(condition: StatementShape['Condition']): void {
  for (const [operator, keys] of Object.entries(condition ?? {})) {
    if (!operator.startsWith('ForAllValues:')) continue;
    for (const key of Object.keys(keys)) {
      if (/^(?:kms:EncryptionContext:|aws:RequestTag\/)/i.test(key)) {
        throw malformed(
          'OverlyPermissiveCondition: Using the ForAllValues set operator with a single-valued condition key matches requests without the specified [encryption context or tag] or with an unspecified [encryption context or tag]. To fix, remove ForAllValues.',
        );
      }
    }
  }
}
