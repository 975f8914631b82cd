import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { compilePolicy, type Policy, readDocument, type StatementShape } from './document.ts';
import { assertConditions } from './given-conditions.ts';
import { malformed } from './malformed.ts';
import { assertGivenPrincipals } from './principals.ts';
import { NotStrictJsonError, parseStrictJson } from './strict-json.ts';

/** AWS's documented limit, in bytes; the model's own maximum is higher. */
const MAX_KEY_POLICY_BYTES = 32_768;

/**
 * Reads a key policy that a caller gives: whatever in it this release does not enforce is refused, so that no author believes in a
 * rule that is not there (docs/policies.md). `partition`: this deployment's. Whether its principals exist is asked elsewhere. Throws
 * LimitExceededException or MalformedPolicyDocumentException.
 */
export function readGivenKeyPolicy(text: string, partition: string): Policy {
  if (Buffer.byteLength(text, 'utf8') > MAX_KEY_POLICY_BYTES) {
    throw new KmsException('LimitExceededException', `The key policy is larger than ${MAX_KEY_POLICY_BYTES} bytes.`);
  }
  const statements = readDocument(parseOnce(text));
  for (const statement of statements) {
    if (statement.Principal === undefined) throw malformed('Policy contains a statement with no principal.');
    assertGivenPrincipals(statement.Principal, partition);
    assertActions(statement);
    assertResources(statement);
    assertConditions(statement.Condition);
  }
  const names = statements.flatMap(({ Sid }) => (Sid ? [Sid] : []));
  if (new Set(names).size < names.length) throw malformed('Statement IDs (SID) in a single policy must be unique.');
  return compilePolicy(statements);
}

function parseOnce(text: string): unknown {
  try {
    return parseStrictJson(text);
  } catch (error) {
    if (error instanceof NotStrictJsonError) throw malformed('This policy contains invalid Json', error);
    throw error;
  }
}

function assertActions({ Action, NotAction }: StatementShape): void {
  const actions = Action ?? NotAction ?? [];
  if (actions.length === 0 || actions.includes('')) throw malformed('Policy statement must contain actions.');
  for (const action of actions) {
    if (action === '*') continue;
    if (!action.includes(':')) {
      throw malformed('Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.');
    }
    // An action of another service, or one that holds a policy variable, would never match a request.
    if (!/^kms:[a-z*?]+$/i.test(action)) {
      throw malformed('Policy contains a statement with one or more invalid actions.');
    }
  }
}

/** AWS has taken nothing but `*` since August 2025: a key policy is about its key. */
function assertResources({ Resource, NotResource }: StatementShape): void {
  const resources = Resource ?? NotResource ?? [];
  if (resources.length === 0 || resources.includes('')) throw malformed('Policy statement must contain resources.');
  if (NotResource !== undefined || resources.some((resource) => resource !== '*')) {
    throw malformed('Policy contains a statement with one or more invalid resources.');
  }
}
