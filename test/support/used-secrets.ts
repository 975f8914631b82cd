import { generateKeyPairSync, randomBytes } from 'node:crypto';
import type { KMSClient } from '@aws-sdk/client-kms';
import * as sdk from '@aws-sdk/client-kms';
import type { KmsClient } from '@keyfleet/client';
import { findInMemory } from './process-memory.ts';

/** Secrets as bytes, and as text would carry them; called `key 0`, `key 0 in hex` and so on. */
export function needlesOf(secrets: readonly Buffer[], name = 'key'): Map<string, Buffer> {
  return new Map(
    secrets.flatMap((secret, index) => [
      [`${name} ${index}`, secret],
      [`${name} ${index} in hex`, Buffer.from(secret.toString('hex'))],
      [`${name} ${index} in base64`, Buffer.from(secret.toString('base64').replace(/=+$/, ''))],
    ]),
  );
}

const ROUNDS = 30;
const bytesOf = (bytes: Uint8Array | undefined): Buffer => Buffer.from(bytes ?? []);

export const secretKinds = ['plaintext', 'data key', 'random', 'private key', 'shared secret', 'mu'] as const;
type SecretKind = (typeof secretKinds)[number];

/** All secrets that callers gave or were given, by kind. Each is 32 random bytes or more. */
export async function useSecrets(kms: KmsClient): Promise<Map<string, Buffer[]>> {
  const made: Record<SecretKind, Buffer[]> = {
    plaintext: [],
    'data key': [],
    random: [],
    'private key': [],
    'shared secret': [],
    mu: [],
  };
  const idOf = async (key: Parameters<KmsClient['CreateKey']>[0]) =>
    (await kms.CreateKey(key)).KeyMetadata?.KeyId ?? '';
  const KeyId = await idOf({});
  const rsa = await idOf({ KeySpec: 'RSA_2048', KeyUsage: 'ENCRYPT_DECRYPT' });
  const agreement = await idOf({ KeySpec: 'ECC_NIST_P256', KeyUsage: 'KEY_AGREEMENT' });
  const lattice = await idOf({ KeySpec: 'ML_DSA_44', KeyUsage: 'SIGN_VERIFY' });
  const oaep = 'RSAES_OAEP_SHA_256' as const;
  for (let round = 0; round < ROUNDS; round++) {
    const Plaintext = randomBytes(round % 3 === 0 ? 4000 : 32 + round);
    made.plaintext.push(Plaintext.subarray(0, 32));
    const { CiphertextBlob = new Uint8Array() } = await kms.Encrypt({ KeyId, Plaintext });
    await kms.Decrypt({ CiphertextBlob });
    // A failure must leave nothing behind either.
    await kms.Decrypt({ CiphertextBlob, EncryptionContext: { a: 'b' } }).catch(() => undefined);
    const DestinationKeyId = KeyId;
    await kms.ReEncrypt({ CiphertextBlob, DestinationKeyId, DestinationEncryptionContext: { a: 'b' } });
    const short = Plaintext.subarray(0, 32);
    const wrapped = await kms.Encrypt({ KeyId: rsa, Plaintext: short, EncryptionAlgorithm: oaep });
    const { CiphertextBlob: blob = new Uint8Array() } = wrapped;
    await kms.Decrypt({ KeyId: rsa, CiphertextBlob: blob, EncryptionAlgorithm: oaep });
    const dataKey = await kms.GenerateDataKey({ KeyId, KeySpec: 'AES_256' });
    made['data key'].push(bytesOf(dataKey.Plaintext));
    made.random.push(bytesOf((await kms.GenerateRandom({ NumberOfBytes: 32 })).Plaintext));
    const pair = await kms.GenerateDataKeyPair({ KeyId, KeyPairSpec: 'ECC_NIST_P256' });
    // PKCS #8 of P-256: the scalar is 32 bytes at offset 36 (RFC 5915 in RFC 5208).
    made['private key'].push(bytesOf(pair.PrivateKeyPlaintext).subarray(36, 68));
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const PublicKey = publicKey.export({ format: 'der', type: 'spki' });
    const derive = { KeyId: agreement, PublicKey, KeyAgreementAlgorithm: 'ECDH' } as const;
    // JavaScript signs it, on a thread of its own. (Of digests, noble makes copies that it leaves.)
    const Message = randomBytes(64);
    made.mu.push(Message);
    const mu = { KeyId: lattice, Message, MessageType: 'EXTERNAL_MU', SigningAlgorithm: 'ML_DSA_SHAKE_256' } as const;
    const { Signature = new Uint8Array() } = await kms.Sign(mu);
    await kms.Verify({ ...mu, Signature });
    made['shared secret'].push(bytesOf((await kms.DeriveSharedSecret(derive)).SharedSecret));
  }
  return new Map(Object.entries(made));
}

/** How many of the `secrets` a process holds, by kind and form, e.g. `data key in base64`. */
export function heldBy(
  pid: number | undefined,
  secrets: ReadonlyMap<string, readonly Buffer[]>,
): Record<string, number> {
  const needles = new Map([...secrets].flatMap(([name, values]) => [...needlesOf(values, name)]));
  const names = findInMemory(pid ?? 0, needles).map((name) => name.replace(/ \d+/, ''));
  return Object.fromEntries(Object.entries(Object.groupBy(names, (name) => name)).map(([k, v]) => [k, v!.length]));
}

type Command = new (input: never) => sdk.EncryptCommand;
const commands = new Map(Object.entries(sdk) as [string, unknown][]);

/** AWS's client with its operations as methods, as ours has them. */
export function methodsOf(kms: KMSClient): KmsClient {
  return new Proxy({} as KmsClient, {
    get: (_, name: string) => (input: never) => {
      const Command = commands.get(`${name}Command`) as Command;
      return kms.send(new Command(input));
    },
  });
}
