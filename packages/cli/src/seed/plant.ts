import { type KeyMetadata, type KMS, NotFoundException } from '@aws-sdk/client-kms';
import { CliError } from '../cli-error.ts';
import { told } from '../kms/client.ts';
import { importMaterial } from '../kms/import-material.ts';
import type { PlannedKey } from './seed-file.ts';

export interface Planted {
  readonly keyId: string;
  readonly aliases: readonly string[];
  /** False if it already existed. */
  readonly created: boolean;
}

/** The tag that gives a key its id on a frontend with `developmentTags` (docs/import.md, "Seeding"). */
const ID_TAG = '_custom_id_';

/**
 * Creates what is missing of a key, so that it may be interrupted and repeated. An existing key is left as it is,
 * except that it gets its aliases, and its material if it waits for that.
 */
export async function plant(kms: KMS, key: PlannedKey): Promise<Planted> {
  const name = key.id ?? key.aliases[0]!;
  const found = await told(name, findKey(kms, name));
  const metadata = found ?? (await told(`making ${name}`, createKey(kms, key)));
  const KeyId = metadata.KeyId!;
  if (metadata.KeySpec !== key.spec || metadata.KeyUsage !== key.usage) {
    throw new CliError(`${name} already exists, as a key of ${metadata.KeySpec} for ${metadata.KeyUsage}.`);
  }
  // Aliases come last, except that a key without an id is found by one.
  if (key.id === undefined) await told(name, provideAliases(kms, KeyId, key.aliases));
  if (metadata.KeyState === 'PendingImport' && key.material) {
    await told(`importing the material of ${name}`, importMaterial(kms, { KeyId, material: key.material }));
  }
  if (key.id !== undefined) await told(name, provideAliases(kms, KeyId, key.aliases));
  return { keyId: KeyId, aliases: key.aliases, created: found === undefined };
}

async function findKey(kms: KMS, KeyId: string): Promise<KeyMetadata | undefined> {
  try {
    return (await kms.describeKey({ KeyId })).KeyMetadata;
  } catch (error) {
    if (error instanceof NotFoundException) return undefined;
    throw error;
  }
}

async function createKey(kms: KMS, { id, spec, usage, description, policy, tags, material }: PlannedKey) {
  const given = id === undefined ? tags : { ...tags, [ID_TAG]: id };
  const { KeyMetadata } = await kms.createKey({
    KeySpec: spec,
    KeyUsage: usage,
    Description: description,
    Origin: material ? 'EXTERNAL' : 'AWS_KMS',
    ...(policy && { Policy: JSON.stringify(policy) }),
    Tags: Object.entries(given).map(([TagKey, TagValue]) => ({ TagKey, TagValue })),
  });
  const made = KeyMetadata!;
  if (id === undefined || made.KeyId === id) return made;
  await kms.scheduleKeyDeletion({ KeyId: made.KeyId!, PendingWindowInDays: 7 });
  throw new CliError(
    `the server chooses key ids itself, so it cannot make ${id}. Set developmentTags in the frontend's configuration, or leave the id out.`,
  );
}

async function provideAliases(kms: KMS, TargetKeyId: string, aliases: readonly string[]): Promise<void> {
  for (const AliasName of aliases) {
    const target = await findKey(kms, AliasName);
    if (target === undefined) await kms.createAlias({ AliasName, TargetKeyId });
    else if (target.KeyId !== TargetKeyId) throw new CliError(`${AliasName} already exists, for key ${target.KeyId}.`);
  }
}
