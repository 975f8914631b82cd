import { Encrypt } from '@keyfleet/shared/api/cipher';
import { CreateKey } from '@keyfleet/shared/api/keys';
import { FakeFrontend, region } from './frontend.ts';

/** A frontend, and a symmetric key. */
export let frontend: FakeFrontend;
export let keyId: string;
export let arn: string;

/** For `beforeEach`. */
export async function newFrontend(): Promise<void> {
  frontend = new FakeFrontend();
  ({ keyId, arn } = await newKey());
}

export async function newKey(request: object = {}): Promise<{ keyId: string; arn: string }> {
  const { KeyMetadata } = await frontend.call(CreateKey, request);
  if (!KeyMetadata?.Arn) throw new Error('no key was made');
  return { keyId: KeyMetadata.KeyId, arn: KeyMetadata.Arn };
}

export async function setState(state: 'Disabled' | 'PendingDeletion'): Promise<void> {
  const key = await frontend.store.findKey(region, keyId);
  if (key) await frontend.store.updateKey({ ...key, state });
}

export function encrypt(overrides: object = {}) {
  return frontend.call(Encrypt, { KeyId: keyId, Plaintext: Buffer.from('attack at dawn'), ...overrides });
}
