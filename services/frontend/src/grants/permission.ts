import { GrantOperation } from '@keyfleet/shared/api/choices';
import type { GrantedKey } from '@keyfleet/shared/stored/grants';
import { type KmsKey, wasGivenTo } from '../keys/kms-key.ts';
import { type Grantee, ownerIdOf } from '../policy/evaluate.ts';
import type { Principal } from '../policy/principal.ts';
import { allows, type GrantQuestion } from './constraints.ts';
import { constraintsOf, type GivenConstraints } from './given-constraints.ts';
import type { Grant } from './grant.ts';
import { type GrantLookup, tooMany } from './grant-store.ts';
import type { GrantName } from './grant-token.ts';

type Input = Readonly<Record<string, unknown>>;

/** What a request for `action` requires of a grant; undefined if no grant can allow it. */
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
  readonly caller: Pick<Principal, 'arn' | 'userId' | 'session'>;
  /** The grants in the request's tokens, which may not have spread yet. */
  readonly tokens: readonly GrantName[];
  /** Called for each page of candidates beyond the first few. Throws if there have been enough. */
  readonly onMore: () => void;
}

/** Usually there is a page of grants that can allow the request, and one of the work to find them. */
const USUAL_PAGES = 2;

/**
 * How an allowing grant on the key, if any, names the caller, strongest first. Called only where no policy decides: a
 * request that a policy allows examines no grants.
 */
export async function granteeOf(
  key: GrantedKey & Pick<KmsKey, 'createdAt'>,
  question: GrantQuestion,
  { caller, tokens, onMore }: Asker,
  grants: GrantLookup,
): Promise<Grantee | undefined> {
  const ofKey = tokens.filter((token) => token.region === key.region && token.keyId === key.keyId);
  for (const name of namesOf(caller)) {
    const found = grants.grantsOf(key, name.arn);
    const few = found instanceof Promise ? await found : found;
    const allowsIt = (grant: Grant): boolean =>
      wasGivenTo(key, grant.createdAt) && isGrantee(name, grant) && allows(grant, question);
    const isAllowed =
      few === tooMany
        ? await anyPage(grants.candidates(key, name.arn, question), allowsIt, onMore)
        : few.some(allowsIt);
    if (isAllowed) return name.naming;
    for (const { grantId } of ofKey) {
      const grant = await grants.find(key, grantId);
      if (grant && allowsIt(grant)) return name.naming;
    }
  }
  return undefined;
}

async function anyPage(
  pages: AsyncIterable<readonly Grant[]>,
  isIt: (grant: Grant) => boolean,
  onMore: () => void,
): Promise<boolean> {
  let read = 0;
  for await (const page of pages) {
    if (page.some(isIt)) return true;
    if (++read >= USUAL_PAGES) onMore();
  }
  return false;
}

/** One of the names by which a grant can name a caller. */
export interface CallerName {
  readonly arn: string;
  readonly id: string | undefined;
  readonly naming: Grantee;
}

/** A session is also named by its role's name. */
export function namesOf({ arn, userId, session }: Asker['caller']): readonly CallerName[] {
  const own = { arn, id: userId, naming: 'caller' } as const;
  if (session?.roleArn === undefined) return [own];
  return [own, { arn: session.roleArn, id: ownerIdOf({ userId }), naming: 'session-owner' }];
}

export function isGrantee(name: CallerName, { grantee, granteeId }: Grant): boolean {
  return isMeant(name, grantee, granteeId);
}

export function isRetiring(name: CallerName, { retiring, retiringId }: Grant): boolean {
  return isMeant(name, retiring, retiringId);
}

function isMeant({ arn, id }: CallerName, meantArn: string | undefined, meantId: string | undefined): boolean {
  return arn === meantArn && (meantId === undefined || meantId === id);
}
