import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../..');
const BLOCK = 4096;

/** A file system of some MiB, visible only to processes started `inside`. Disposing unmounts it. */
export interface SmallDisk extends AsyncDisposable {
  /** The beginning of a command line that runs inside, in the project's directory. */
  readonly inside: readonly string[];
  /** The same place as seen from outside. */
  seenAs(path: string): string;
  /** Fills it until at most so many bytes are free. Disposing gives the room back. */
  fill(leaving?: number): Disposable;
}

/**
 * Mounts it at `path`, which exists. Root is not needed where the kernel lets everyone have a namespace. Throws Error
 * that says what is missing.
 */
export async function mountSmallDisk(path: string, mebibytes: number): Promise<SmallDisk> {
  const problems: string[] = [];
  for (const flags of ['-rm', '-m']) {
    const script = 'mount -t tmpfs -o size="$1"m,mode=700 tmpfs "$0" && echo mounted && exec cat';
    // Ends with its input, so that nothing remains if the tests are killed.
    const holder = spawn('unshare', [flags, 'sh', '-c', script, path, `${mebibytes}`]);
    let said = '';
    holder.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    holder.on('error', (error) => (said += error.message));
    const [mounted] = await Promise.race([once(holder.stdout, 'data'), once(holder, 'close').catch(() => [])]);
    if (mounted instanceof Buffer) return new MountedDisk(path, holder, flags === '-rm' ? ['-U'] : []);
    problems.push(`unshare ${flags}: ${said.trim()}`);
  }
  throw new Error(
    `no file system of its own can be mounted (${problems.join('; ')}). Run this as root, or allow namespaces to everyone: sysctl user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns.`,
  );
}

class MountedDisk implements SmallDisk {
  readonly #path: string;
  readonly #holder: ReturnType<typeof spawn>;
  readonly #namespaces: readonly string[];

  constructor(path: string, holder: ReturnType<typeof spawn>, namespaces: readonly string[]) {
    this.#path = path;
    this.#holder = holder;
    this.#namespaces = namespaces;
  }

  get inside(): readonly string[] {
    const enter = ['nsenter', '-t', `${this.#holder.pid}`, '-m', ...this.#namespaces, '--preserve-credentials'];
    return [...enter, '--', 'env', '-C', root];
  }

  seenAs(path: string): string {
    return join(`/proc/${this.#holder.pid}/root`, path);
  }

  get #ballast(): string {
    return this.seenAs(join(this.#path, 'ballast'));
  }

  fill(leaving = 0): Disposable {
    const { bavail, bsize } = statfsSync(this.seenAs(this.#path));
    const file = openSync(this.#ballast, 'a');
    try {
      for (let left = bavail * bsize - leaving; left > 0; left -= BLOCK) writeSync(file, Buffer.alloc(BLOCK));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    } finally {
      closeSync(file);
    }
    return { [Symbol.dispose]: () => rmSync(this.#ballast, { force: true }) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#holder, 'close');
    this.#holder.stdin?.end();
    await closed;
  }
}
