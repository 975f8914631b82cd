import { isAliasName, isKeyId } from '@keyfleet/shared/ids';
import { type KeySpec, keySpecs, keyUsages } from '@keyfleet/shared/key-specs';
import { z } from 'zod';

const specs = Object.keys(keySpecs) as [KeySpec, ...KeySpec[]];

/** Exactly one of these: text, or the name of a file beside the seed file, as `keyfleet import` reads it. */
export const Material = z.union(
  [
    z.strictObject({ hex: z.string() }),
    z.strictObject({ base64: z.string() }),
    z.strictObject({ pem: z.string() }),
    z.strictObject({ file: z.string() }),
  ],
  { error: 'must have one of hex, base64, pem and file' },
);

export const SeedKey = z
  .strictObject({
    id: z.string().refine(isKeyId, 'must be a UUID in lower case').optional(),
    aliases: z.array(z.string().refine(isAliasName, 'must begin with alias/')).default([]),
    spec: z.enum(specs, { error: `must be one of ${specs.join(', ')}` }).default('SYMMETRIC_DEFAULT'),
    usage: z.enum(keyUsages, { error: `must be one of ${keyUsages.join(', ')}` }).optional(),
    description: z.string().default(''),
    policy: z.record(z.string(), z.unknown()).optional(),
    tags: z.record(z.string(), z.string()).default({}),
    material: Material.optional(),
  })
  .refine(({ id, aliases }) => id !== undefined || aliases.length > 0, 'needs an id or an alias to be found again by');

/** docs/import.md, "Seeding". */
export const Seed = z.strictObject({ keys: z.array(SeedKey) });
export type SeedKeyFields = z.input<typeof SeedKey>;
