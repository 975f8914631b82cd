import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Writes a small file so that a crash at any moment leaves either the old content or the new, whole: it writes a
 * temporary file, flushes it, renames it over the old one, and flushes the directory so that the name is as durable as
 * the bytes.
 */
export async function writeDurably(path: string, content: Uint8Array): Promise<void> {
  const directory = dirname(path);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const aside = `${path}.new`;
  // One that a crash left, or a link to a file of somebody else, is not written through.
  await rm(aside, { force: true });
  {
    await using file = await open(aside, 'wx', 0o600);
    await file.writeFile(content);
    await file.sync();
  }
  await rename(aside, path);
  await using parent = await open(directory, 'r');
  await parent.sync();
}

/** Undefined only if the file does not exist; any other failure to read it is thrown. */
export async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
