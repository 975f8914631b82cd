import { callKms } from './call.ts';

/** A key as the rows name it. */
export interface Key {
  readonly id: string;
  readonly arn: string;
}

/**
 * In the order of the tables: symmetric, RSA for encryption and for signatures, HMAC, elliptic curves, Ed25519, ML-DSA,
 * without material.
 */
const kinds = {
  S: {},
  R: { KeySpec: 'RSA_2048', KeyUsage: 'ENCRYPT_DECRYPT' },
  RS: { KeySpec: 'RSA_2048', KeyUsage: 'SIGN_VERIFY' },
  H: { KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' },
  E: { KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' },
  ED: { KeySpec: 'ECC_NIST_EDWARDS25519', KeyUsage: 'SIGN_VERIFY' },
  ML: { KeySpec: 'ML_DSA_44', KeyUsage: 'SIGN_VERIFY' },
  X: { Origin: 'EXTERNAL' },
} as const;

type Kind = keyof typeof kinds;
/** `S2` is another of the kind, `dH` a disabled one, `pH` one that is pending deletion. */
export type KeyName = Kind | 'S2' | `d${Kind}` | `p${Kind}`;

export type Keys = Readonly<Record<KeyName, Key>> & {
  /** What S and R made of "hello", in base64. */
  readonly blob: string;
  readonly rsaBlob: string;
  /** What S made of 191 bytes: one more than an RSA_2048 key can encrypt with SHA-256. */
  readonly longBlob: string;
  /** alias/answers-E, of E. */
  readonly alias: string;
  /** Of the cluster's account and Region, up to the kind of resource. */
  readonly prefix: string;
};

const HELLO = 'aGVsbG8=';

export async function makeKeys(): Promise<Keys> {
  const keys = {} as Record<KeyName, Key>;
  for (const kind of Object.keys(kinds) as Kind[]) {
    keys[kind] = await newKey(kind);
    if (kind === 'X' || kind === 'ML') continue;
    keys[`d${kind}`] = await newKey(kind);
    await done('DisableKey', { KeyId: keys[`d${kind}`].id });
    keys[`p${kind}`] = await newKey(kind);
    await done('ScheduleKeyDeletion', { KeyId: keys[`p${kind}`].id, PendingWindowInDays: 7 });
  }
  keys.S2 = await newKey('S');
  const alias = `alias/answers-${keys.E.id}`;
  await done('CreateAlias', { AliasName: alias, TargetKeyId: keys.E.id });
  const { CiphertextBlob: blob } = await done('Encrypt', { KeyId: keys.S.id, Plaintext: HELLO });
  const rsa = { KeyId: keys.R.id, Plaintext: HELLO, EncryptionAlgorithm: 'RSAES_OAEP_SHA_256' };
  const { CiphertextBlob: rsaBlob } = await done('Encrypt', rsa);
  const long = Buffer.alloc(191).toString('base64');
  const { CiphertextBlob: longBlob } = await done('Encrypt', { KeyId: keys.S.id, Plaintext: long });
  const prefix = keys.S.arn.slice(0, keys.S.arn.lastIndexOf(':') + 1);
  const blobs = { blob: blob as string, rsaBlob: rsaBlob as string, longBlob: longBlob as string };
  return { ...keys, ...blobs, alias, prefix };
}

async function newKey(kind: Kind): Promise<Key> {
  const { KeyMetadata } = (await done('CreateKey', kinds[kind])) as { KeyMetadata: { KeyId: string; Arn: string } };
  return { id: KeyMetadata.KeyId, arn: KeyMetadata.Arn };
}

/** A call that succeeds. */
export async function done(operation: string, body: object): Promise<Record<string, unknown>> {
  const { status, text } = await callKms(operation, JSON.stringify(body));
  if (status !== 200) throw new Error(`${operation} answered ${status}: ${text}`);
  return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
}
