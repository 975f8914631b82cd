import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Keeps one small file so that a crash at any moment leaves the old content or the new one, whole, and never neither:
 * written aside, flushed, renamed over, and the directory flushed so that the name is as durable as the bytes.
 */
export async function writeDurably(path: string, content: Uint8Array): Promise<void> {
  const directory = dirname(path);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const aside = `${path}.new`;
  {
    await using file = await open(aside, 'w', 0o600);
    await file.writeFile(content);
    await file.sync();
  }
  await rename(aside, path);
  await using parent = await open(directory, 'r');
  await parent.sync();
}

/** Undefined only if there is no such file; whatever else keeps it from being read is thrown. */
export async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
