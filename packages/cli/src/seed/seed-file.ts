import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { type KeySpec, keySpecs, type KeyUsage } from '@keyfleet/shared/key-specs';
import { parseDocument } from 'yaml';
import type { z } from 'zod';
import { CliError } from '../cli-error.ts';
import { type Encoding, materialOf } from '../kms/material-file.ts';
import { isLocalKms, seedOfLocalKms } from './local-kms.ts';
import { type Material, Seed, type SeedKey } from './seed-key.ts';

export interface PlannedKey extends Omit<z.output<typeof SeedKey>, 'material' | 'usage'> {
  readonly usage: KeyUsage;
  /** In the form that is wrapped. */
  readonly material: Buffer | undefined;
}

/** Throws CliError: one line for the first mistake, with its position. */
export async function readSeed(file: string): Promise<readonly PlannedKey[]> {
  const document = parseDocument(await textOf(file));
  const [mistake] = document.errors;
  if (mistake) throw new CliError(`${file}: ${mistake.message.split('\n')[0]}`);
  const content: unknown = document.toJS();
  const seed = Seed.safeParse(isLocalKms(content) ? seedOfLocalKms(content, file) : content);
  if (!seed.success) throw new CliError(`${file}: ${mistakeOf(seed.error)}`);
  return Promise.all(seed.data.keys.map((key, i) => planned(key, { file, where: `keys[${i}]` })));
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new CliError(`${file} cannot be read (${(error as NodeJS.ErrnoException).code}).`, { cause: error });
  }
}

function mistakeOf(error: z.ZodError): string {
  const { path, message } = error.issues[0]!;
  const where = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('');
  return `${where.replace(/^\./, '') || 'the file'}: ${message}`;
}

type Place = { readonly file: string; readonly where: string };

async function planned(key: z.output<typeof SeedKey>, place: Place): Promise<PlannedKey> {
  const usage = key.usage ?? onlyUsageOf(key.spec);
  if (usage === undefined)
    throw new CliError(`${place.file}: ${place.where}.usage: ${key.spec} has more than one; say which`);
  return { ...key, usage, material: key.material && (await readMaterial(key.spec, key.material, place)) };
}

function onlyUsageOf(spec: KeySpec): KeyUsage | undefined {
  const usages = Object.keys(keySpecs[spec].usages) as KeyUsage[];
  return usages.length === 1 ? usages[0] : undefined;
}

async function readMaterial(spec: KeySpec, given: z.output<typeof Material>, { file, where }: Place): Promise<Buffer> {
  const [kind, text] = Object.entries(given)[0] as ['hex' | 'base64' | 'pem' | 'file', string];
  if (kind === 'file') {
    const from = resolve(dirname(file), text);
    const bytes = await readFile(from).catch((cause: NodeJS.ErrnoException) => {
      throw new CliError(`${file}: ${where}.material.file: ${from} cannot be read (${cause.code}).`, { cause });
    });
    return materialOf(spec, bytes, { from, encoding: 'raw' });
  }
  const encoding: Encoding = kind === 'pem' ? 'raw' : kind;
  const { kind: kindOfKey } = keySpecs[spec];
  const isPair = kindOfKey !== 'symmetric' && kindOfKey !== 'hmac';
  const bytes = isPair && kind !== 'pem' ? Buffer.from(text, kind) : Buffer.from(text);
  return materialOf(spec, bytes, { from: `${file}: ${where}.material.${kind}`, encoding });
}
