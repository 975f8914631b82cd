import { createPrivateKey } from 'node:crypto';
import type { KeySpec, KeyUsage } from '@keyfleet/shared/key-specs';
import { z } from 'zod';
import { CliError } from '../cli-error.ts';
import type { SeedKeyFields } from './seed-key.ts';

// The seed.yaml of nsmithuk/local-kms, in both of its versions.

const Aliases = z.array(z.looseObject({ AliasName: z.string(), TargetKeyId: z.string() })).nullish();
const Metadata = z.looseObject({
  KeyId: z.string().optional(),
  Description: z.string().nullish(),
  KeySpec: z.string().optional(),
  KeyUsage: z.string().optional(),
});
const Material = {
  BackingKeys: z.array(z.union([z.string(), z.number()])).nullish(),
  PrivateKeyPem: z.string().nullish(),
};
const KeyV1 = z.looseObject({ Metadata, ...Material });
const KeyV2 = z.looseObject({ KeyId: z.string(), Metadata, Material: z.looseObject(Material).optional() });
const KeysV1 = z.array(KeyV1).nullish();
const V1 = z.looseObject({
  Keys: z.looseObject({
    Symmetric: z.looseObject({ Aes: KeysV1, Hmac: KeysV1 }).nullish(),
    Asymmetric: z.looseObject({ Ecc: KeysV1, Rsa: KeysV1 }).nullish(),
  }),
  Aliases,
});
const V2 = z.looseObject({ Version: z.literal(2), Keys: z.array(KeyV2), Aliases });

export function isLocalKms(content: unknown): content is object {
  return typeof content === 'object' && content !== null && 'Keys' in content;
}

/** The same keys in Keyfleet's format, which is checked next. Throws CliError. */
export function seedOfLocalKms(content: object, file: string): { keys: SeedKeyFields[] } {
  const isV2 = 'Version' in content;
  const parsed = (isV2 ? V2 : V1).safeParse(content);
  if (!parsed.success) {
    const { path, message } = parsed.error.issues[0]!;
    throw new CliError(`${file}: as a seed file of local-kms, ${path.join('.')}: ${message}`);
  }
  const keys = isV2 ? keysOfV2(parsed.data as z.output<typeof V2>) : keysOfV1(parsed.data as z.output<typeof V1>);
  return { keys: keys.map((key) => fieldsOf(key, parsed.data.Aliases ?? [])) };
}

interface LocalKey {
  readonly id: string | undefined;
  readonly metadata: z.output<typeof Metadata>;
  readonly backingKeys: readonly (string | number)[];
  readonly pem: string | undefined;
}

function keysOfV1({ Keys: { Symmetric, Asymmetric } }: z.output<typeof V1>): LocalKey[] {
  const all = [Symmetric?.Aes, Symmetric?.Hmac, Asymmetric?.Ecc, Asymmetric?.Rsa].flatMap((keys) => keys ?? []);
  return all.map(({ Metadata: metadata, BackingKeys, PrivateKeyPem }) => ({
    id: metadata.KeyId,
    metadata,
    backingKeys: BackingKeys ?? [],
    pem: PrivateKeyPem ?? undefined,
  }));
}

function keysOfV2({ Keys }: z.output<typeof V2>): LocalKey[] {
  return Keys.map(({ KeyId, Metadata: metadata, Material: material }) => ({
    id: KeyId,
    metadata,
    backingKeys: material?.BackingKeys ?? [],
    pem: material?.PrivateKeyPem ?? undefined,
  }));
}

function fieldsOf(
  { id, metadata, backingKeys, pem }: LocalKey,
  aliases: NonNullable<z.output<typeof Aliases>>,
): SeedKeyFields {
  const spec = metadata.KeySpec ?? (pem === undefined ? 'SYMMETRIC_DEFAULT' : specOfPem(pem));
  // The last one is current. What the others made is in local-kms's own format, which nothing else reads.
  const hex = backingKeys.at(-1);
  return {
    ...(id !== undefined && { id: id.toLowerCase() }),
    aliases: aliases.filter(({ TargetKeyId }) => TargetKeyId === id).map(({ AliasName }) => AliasName),
    spec: spec as KeySpec,
    ...(metadata.KeyUsage !== undefined && { usage: metadata.KeyUsage as KeyUsage }),
    description: metadata.Description ?? '',
    // AWS accepts no material for ML-DSA: such a key is created with new material.
    ...(pem !== undefined && !spec.startsWith('ML_') && { material: { pem } }),
    ...(hex !== undefined && { material: { hex: String(hex) } }),
  };
}

/** The first version does not state the spec of a key pair. */
function specOfPem(pem: string): string {
  const curves: Record<string, string> = {
    prime256v1: 'ECC_NIST_P256',
    secp384r1: 'ECC_NIST_P384',
    secp521r1: 'ECC_NIST_P521',
    secp256k1: 'ECC_SECG_P256K1',
  };
  try {
    const { asymmetricKeyType, asymmetricKeyDetails } = createPrivateKey(pem);
    if (asymmetricKeyType === 'rsa') return `RSA_${asymmetricKeyDetails!.modulusLength}`;
    return curves[asymmetricKeyDetails?.namedCurve ?? ''] ?? 'unknown';
  } catch {
    return 'unknown';
  }
}
