import { GrantOperation } from '@keyfleet/shared/api/choices';
import type { GrantedKey } from '@keyfleet/shared/stored/grants';
import type { Principal } from '../policy/principal.ts';
import { allows, type GrantQuestion } from './constraints.ts';
import { constraintsOf, type GivenConstraints } from './given-constraints.ts';
import type { Grant } from './grant.ts';
import type { GrantLookup } from './grant-store.ts';
import type { GrantName } from './grant-token.ts';

type Input = Readonly<Record<string, unknown>>;

/** What a request for `action` asks of a grant; undefined for what no grant allows. */
export function grantQuestionOf(action: string, input: Input): GrantQuestion | undefined {
  const { success, data: operation } = GrantOperation.safeParse(action.slice('kms:'.length));
  if (!success) return undefined;
  if (operation !== 'CreateGrant') return { operation, encryptionContext: contextOf(action, input) };
  const operations = input['Operations'] as Grant['operations'];
  return { operation, child: { operations, constraints: constraintsOf(input['Constraints'] as GivenConstraints) } };
}

const contextMembers: Readonly<Record<string, string>> = {
  'kms:ReEncryptFrom': 'SourceEncryptionContext',
  'kms:ReEncryptTo': 'DestinationEncryptionContext',
};

function contextOf(action: string, input: Input): GrantQuestion['encryptionContext'] {
  return input[contextMembers[action] ?? 'EncryptionContext'] as GrantQuestion['encryptionContext'];
}

export interface Asker {
  readonly caller: Pick<Principal, 'arn' | 'session'>;
  /** What the request brings of grants that may not have spread yet. */
  readonly tokens: readonly GrantName[];
}

/**
 * Whether a grant of the key allows it. Asked only where no policy decides: a request that a policy allows looks at no
 * grant.
 */
export async function isGranted(
  key: GrantedKey,
  question: GrantQuestion,
  { caller, tokens }: Asker,
  grants: GrantLookup,
): Promise<boolean> {
  const names = granteesOf(caller);
  for (const name of names) {
    const found = grants.grantsOf(key, name);
    const ofName = found instanceof Promise ? await found : found;
    if (ofName.some((grant) => allows(grant, question))) return true;
  }
  for (const { grantId } of tokens.filter((token) => token.region === key.region && token.keyId === key.keyId)) {
    const grant = await grants.find(key, grantId);
    if (grant && names.includes(grant.grantee) && allows(grant, question)) return true;
  }
  return false;
}

/** By which names a grant can mean a caller: a session also by its role's. */
export function granteesOf({ arn, session }: Asker['caller']): readonly string[] {
  return session?.roleArn === undefined ? [arn] : [arn, session.roleArn];
}
