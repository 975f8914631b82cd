import { operations } from '@keyfleet/shared/api/registry';
import { accountId, FakeFrontend, user } from './frontend.ts';

const { CreateGrant, CreateKey, Encrypt } = operations;

type By = Readonly<{ caller: ReturnType<typeof user> }>;

/** A user whose own policies allow nothing. */
export const nobody = (name: string): By => ({ caller: user(name, { policies: [] }) });
export const bob = nobody('bob');
export const carol = nobody('carol');
export const Plaintext = Buffer.from('hello');

/** A frontend, and a key of alice for whose use bob and carol need grants. */
export let frontend: FakeFrontend;
export let KeyId: string;
export let keyArn: string;

/** For `beforeEach`. */
export async function newFrontend(): Promise<void> {
  frontend = new FakeFrontend();
  ({ KeyId, keyArn } = await newKey());
}

export async function newKey(input: object = {}): Promise<{ KeyId: string; keyArn: string }> {
  const { KeyMetadata } = await frontend.call(CreateKey, input);
  return { KeyId: KeyMetadata!.KeyId!, keyArn: KeyMetadata!.Arn! };
}

export function grant(input: object, by: By = { caller: user('alice') }) {
  return frontend.call(CreateGrant, { KeyId, GranteePrincipal: bob.caller.arn, Operations: ['Encrypt'], ...input }, by);
}

export function encrypt(by: By, EncryptionContext?: Record<string, string>, more: object = {}) {
  return frontend.call(Encrypt, { KeyId, Plaintext, ...(EncryptionContext && { EncryptionContext }), ...more }, by);
}

export function denied(action: string, name = 'bob', on = keyArn): string {
  return `AccessDeniedException: User: arn:aws:iam::${accountId}:user/${name} is not authorized to perform: kms:${action} on resource: ${on} because no identity-based policy allows the kms:${action} action`;
}

export async function refused(call: Promise<unknown>): Promise<string> {
  const error = await call.then(
    () => new Error('it was not refused'),
    (reason: unknown) => reason as Error,
  );
  return `${error.name}: ${error.message}`;
}
