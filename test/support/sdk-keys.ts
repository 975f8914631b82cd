import type { CreateKeyCommandInput, KeyMetadata } from '@aws-sdk/client-kms';
import { kms } from './sdk-client.ts';

/** A key as the API describes it, with the members that every key has. */
export type Key = KeyMetadata & { readonly KeyId: string; readonly Arn: string };

/** What a test needs a key for, and the request that makes one. */
const kinds = {
  symmetric: {},
  rsaEncryption: { KeySpec: 'RSA_2048', KeyUsage: 'ENCRYPT_DECRYPT' },
  signing: { KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' },
  mac: { KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' },
  agreement: { KeySpec: 'ECC_NIST_P256', KeyUsage: 'KEY_AGREEMENT' },
  encapsulation: { KeySpec: 'ML_KEM_512', KeyUsage: 'ENCAPSULATE_DECAPSULATE' },
  external: { Origin: 'EXTERNAL' },
  multiRegion: { MultiRegion: true },
} as const satisfies Record<string, CreateKeyCommandInput>;

export type Kind = keyof typeof kinds;
/** Beyond Enabled. */
export type State = 'disabled' | 'pendingDeletion' | 'pendingImport';

const made = new Map<string, Promise<Key>>();

/** The test file's one key of this kind, in this state. Nobody may change it. */
export function sharedKey(kind: Kind, state?: State): Promise<Key> {
  const name = `${kind} ${state}`;
  const known = made.get(name);
  if (known) return known;
  const key = newKey({ ...kinds[kind], ...(state === 'pendingImport' && { Origin: 'EXTERNAL' }) }).then(
    async (found) => {
      if (state === 'disabled') await kms.disableKey({ KeyId: found.KeyId });
      if (state === 'pendingDeletion') await kms.scheduleKeyDeletion({ KeyId: found.KeyId, PendingWindowInDays: 7 });
      return found;
    },
  );
  made.set(name, key);
  return key;
}

/** A key of this kind for the caller alone. */
export function newKeyOf(kind: Kind): Promise<Key> {
  return newKey(kinds[kind]);
}

/** A key for the caller alone. */
export async function newKey(request: CreateKeyCommandInput = {}): Promise<Key> {
  const { KeyMetadata: metadata } = await kms.createKey(request);
  return metadata as Key;
}
