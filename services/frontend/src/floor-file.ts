import { ConfigError } from '@keyfleet/shared/config';
import { readIfThere, writeDurably } from '@keyfleet/shared/durable-file';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { z } from 'zod';

/** A small file with something that this frontend has relied on, and goes below in no later run. */
export interface FloorFile<T> {
  readonly content: T | undefined;
  /** Durable once it resolves. */
  write(content: T): Promise<void>;
  /** People decided that it no longer holds. */
  remove(): Promise<void>;
}

export interface FloorFileOptions<T> {
  readonly dataDir: string;
  readonly domain: string;
  /** The file's name. */
  readonly name: string;
  readonly schema: z.ZodType<T>;
  /** What to do about a damaged one. */
  readonly advice: string;
}

/** Throws ConfigError if the file is damaged or belongs to another domain. */
export async function openFloorFile<T extends { readonly domain: string }>(
  options: FloorFileOptions<T>,
): Promise<FloorFile<T>> {
  const path = join(options.dataDir, options.name);
  const text = await readIfThere(path);
  let content = text && parse(text.toString('utf8'), path, options);
  return {
    get content() {
      return content;
    },
    async write(next) {
      await writeDurably(path, Buffer.from(`${JSON.stringify(next)}\n`));
      content = next;
    },
    async remove() {
      await rm(path, { force: true });
      content = undefined;
    },
  };
}

function parse<T extends { readonly domain: string }>(
  text: string,
  path: string,
  { schema, domain, advice }: FloorFileOptions<T>,
): T {
  const file = schema.safeParse(jsonOf(text));
  if (!file.success) throw new ConfigError(`${path} is damaged. ${advice}`);
  if (file.data.domain !== domain) {
    throw new ConfigError(`${path} belongs to the domain '${file.data.domain}': correct dataDir or trustAnchorFile.`);
  }
  return file.data;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
