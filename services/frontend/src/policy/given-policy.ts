import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { isArnPattern } from './conditions/patterns.ts';
import { compilePolicy, type Policy, type PolicyShape, readDocument, type StatementShape } from './document.ts';
import { assertConditions, assertVariables, NO_VENDOR, type Place } from './given-conditions.ts';
import { kmsKeys } from './kms-keys.ts';
import { malformed } from './malformed.ts';
import { assertGivenPrincipals } from './principals.ts';
import { NotStrictJsonError, parseStrictJson } from './strict-json.ts';

/** AWS's documented limit in bytes; the model's own maximum is higher. */
const MAX_KEY_POLICY_BYTES = 32_768;

/**
 * Reads a key policy from a caller. It refuses everything that is not enforced, so that no author relies on a rule that
 * has no effect (docs/policies.md). `partition` is this deployment's. Whether the principals exist is checked
 * elsewhere. Throws LimitExceededException or MalformedPolicyDocumentException.
 */
export function readGivenKeyPolicy(text: string, partition: string): Policy {
  if (Buffer.byteLength(text, 'utf8') > MAX_KEY_POLICY_BYTES) {
    throw new KmsException('LimitExceededException', `The key policy is larger than ${MAX_KEY_POLICY_BYTES} bytes.`);
  }
  const shape = readDocument(parseOnce(text));
  for (const statement of shape.statements) {
    const principal = statement.Principal ?? statement.NotPrincipal;
    if (principal === undefined) throw malformed('Policy contains a statement with no principal.');
    assertGivenPrincipals(principal, partition);
    // Another service's action, or one with a policy variable, would never match a request.
    assertActions(statement, /^kms:[a-z*?]+$/i);
    assertIsTheKey(statement);
    assertConditions(statement.Condition, placeOf(shape, 'key policy'));
  }
  assertSids(shape);
  return compilePolicy(shape);
}

/**
 * Reads, just as strictly, a policy that is to be attached to a user, group or role, used as a boundary, or passed for
 * a session. It may also cover other services. Its length is checked elsewhere. Throws
 * MalformedPolicyDocumentException.
 */
export function readGivenIdentityPolicy(text: string): Policy {
  const shape = readDocument(parseOnce(text));
  const place = placeOf(shape, 'identity policy');
  for (const statement of shape.statements) {
    if (statement.Principal !== undefined || statement.NotPrincipal !== undefined) {
      throw malformed('Policy document should not specify a principal.');
    }
    assertActions(statement, /^[a-z0-9-]+:[a-z0-9*?]+$/i);
    assertArns(statement, place);
    assertConditions(statement.Condition, place);
  }
  assertSids(shape);
  return compilePolicy(shape);
}

function placeOf({ variables }: PolicyShape, kind: Place['kind']): Place {
  return { keys: kmsKeys, kind, variables };
}

function parseOnce(text: string): unknown {
  try {
    return parseStrictJson(text);
  } catch (error) {
    if (error instanceof NotStrictJsonError) throw malformed('This policy contains invalid Json', error);
    throw error;
  }
}

function assertSids({ statements }: PolicyShape): void {
  const names = statements.flatMap(({ Sid }) => (Sid ? [Sid] : []));
  if (new Set(names).size < names.length) throw malformed('Statement IDs (SID) in a single policy must be unique.');
}

function assertActions({ Action, NotAction }: StatementShape, form: RegExp): void {
  const actions = Action ?? NotAction ?? [];
  if (actions.length === 0 || actions.includes('')) throw malformed('Policy statement must contain actions.');
  for (const action of actions) {
    if (action === '*') continue;
    if (!action.includes(':')) throw malformed(NO_VENDOR);
    if (!form.test(action)) throw malformed('Policy contains a statement with one or more invalid actions.');
  }
}

/** AWS has accepted only `*` since August 2025: a key policy applies to its key. */
function assertIsTheKey(statement: StatementShape): void {
  const resources = resourcesOf(statement);
  if (statement.NotResource !== undefined || resources.some((resource) => resource !== '*')) {
    throw malformed('Policy contains a statement with one or more invalid resources.');
  }
}

function assertArns(statement: StatementShape, place: Place): void {
  for (const resource of resourcesOf(statement)) {
    if (resource === '*') continue;
    assertVariables(resource, place);
    // AWS completes a pattern with too few parts. It must end in a wildcard; otherwise nobody could tell what is left
    // out.
    if (!isArnPattern(resource) && !/^arn:.*\*$/s.test(resource)) {
      throw malformed(`Resource ${resource} must be in ARN format or "*".`);
    }
  }
}

function resourcesOf({ Resource, NotResource }: StatementShape): readonly string[] {
  const resources = Resource ?? NotResource ?? [];
  if (resources.length === 0 || resources.includes('')) throw malformed('Policy statement must contain resources.');
  return resources;
}
