import { actionOf, type KeyReference, keyReferencesOf, type Operation } from '@keyfleet/shared/api/operation';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { type AccessTo, authorize, decide, deniedCiphertextKey, deniedForeignKey } from '../policy/authorize.ts';
import type { Policies } from '../policy/policies.ts';
import type { Principal } from '../policy/principal.ts';
import { aliasArn, type ArnScope } from '@keyfleet/shared/arn';
import { blobHeaderOf, requireCiphertext } from '../keys/ciphertext.ts';
import type { Alias } from '../store/store.ts';
import type { KmsKey } from '../keys/kms-key.ts';
import { findNamed, type KeyLookup, type Named, readIdentifier } from '../keys/resolve.ts';

export interface RequestKeysDeps extends KeyLookup {
  readonly policies: Policies;
  readonly partition: string;
}

/** Who asks for what: everything that decides whether a request may go on. */
export interface AccessQuestion {
  readonly operation: Operation;
  readonly input: Readonly<Record<string, unknown>>;
  readonly caller: Principal;
  readonly region: string;
}

/**
 * Finds every key that a request names and lets the caller through to each, which fills `keys`; or throws. Answers the alias that
 * the request moves or deletes, as the caller was let through to it.
 */
export async function admit(
  question: AccessQuestion,
  deps: RequestKeysDeps,
  keys: KmsKey[],
): Promise<Alias | undefined> {
  const { operation, caller } = question;
  const scope: ArnScope = { partition: deps.partition, region: question.region, accountId: caller.accountId };
  let alias: Alias | undefined;
  if (typeof question.input['AliasName'] === 'string') {
    alias = await admitToAlias(question, question.input['AliasName'], { scope, deps });
  } else if (operation.access === 'account') {
    for (const action of accountActionsOf(question)) {
      authorize(caller, action, { resource: { arn: '*' }, policies: deps.policies });
    }
  }
  for (const reference of keyReferencesOf(operation)) {
    keys.push(await admitToKey(reference, question, { scope, deps }));
  }
  return alias;
}

/** A key that is created with tags is tagged, too. */
function accountActionsOf({ operation, input }: AccessQuestion): readonly string[] {
  const tags = operation.name === 'CreateKey' ? input['Tags'] : undefined;
  return Array.isArray(tags) && tags.length > 0 ? [actionOf(operation), 'kms:TagResource'] : [actionOf(operation)];
}

interface Context {
  readonly scope: ArnScope;
  readonly deps: RequestKeysDeps;
}

async function admitToKey(reference: KeyReference, question: AccessQuestion, context: Context): Promise<KmsKey> {
  const { member, identifiers, action, ciphertext } = reference;
  const identifier = question.input[member];
  if (typeof identifier !== 'string') return admitToCiphertextKey(question, { action, ciphertext, context });

  const { scope, deps } = context;
  const named = readDeclared(identifier, { identifiers, scope, operation: question.operation });
  if ('foreignArn' in named) {
    throw deniedForeignKey(question.caller, action);
  }
  const key = await findNamed(named, { scope, lookup: deps });
  authorize(question.caller, action, accessTo(key, deps));
  return key;
}

/** The key that a ciphertext names. */
async function admitToCiphertextKey(
  { input, caller }: AccessQuestion,
  { action, ciphertext, context }: { action: string; ciphertext: string | undefined; context: Context },
): Promise<KmsKey> {
  const { scope, deps } = context;
  const blob = ciphertext === undefined ? undefined : input[ciphertext];
  const { keyId } = blobHeaderOf(requireCiphertext(blob as Uint8Array | undefined));
  const key = await deps.keys.findKey(scope.region, keyId);
  if (key?.accountId !== scope.accountId) throw deniedCiphertextKey(caller, action, 'no-key-policy');
  const decision = decide(caller, action, accessTo(key, deps));
  if (decision !== 'allowed') throw deniedCiphertextKey(caller, action, decision);
  return key;
}

/** An alias needs its own permission, and one on the key it has now; the key it shall have is named by the request. */
async function admitToAlias(
  question: AccessQuestion,
  name: string,
  { scope, deps }: Context,
): Promise<Alias | undefined> {
  const { operation, caller } = question;
  const action = actionOf(operation);
  authorize(caller, action, { resource: { arn: aliasArn(scope, name) }, policies: deps.policies });
  if (operation.name === 'CreateAlias') return undefined;
  const alias = await deps.aliases.findAlias(scope, name);
  if (!alias) throw new KmsException('NotFoundException', `Alias ${aliasArn(scope, name)} is not found.`);
  const key = await deps.keys.findKey(scope.region, alias.targetKeyId);
  // The alias of a key that is gone already has nothing left to protect.
  if (key) authorize(caller, action, accessTo(key, deps));
  return alias;
}

function accessTo({ arn, policy }: KmsKey, { policies }: RequestKeysDeps): AccessTo {
  return { resource: { arn, policy }, policies };
}

/** Some operations have no InvalidArnException in their model: a bad ARN is a key that is not there. */
function readDeclared(
  identifier: string,
  { identifiers, scope, operation }: { scope: ArnScope; operation: Operation } & Pick<KeyReference, 'identifiers'>,
): Named {
  try {
    return readIdentifier(identifier, identifiers, scope);
  } catch (error) {
    if (!(error instanceof KmsException) || operation.errors.includes(error.code)) throw error;
    throw new KmsException('NotFoundException', error.message);
  }
}
