import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/**
 * The first administrator's credentials, in the format that the AWS CLI and every SDK read. A secret can be shown only
 * once, so it is on disk before its access key exists. A crash in between leaves a pending file, which the next start
 * completes.
 */
export class CredentialsFile {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  get exists(): boolean {
    return existsSync(this.path);
  }

  holds(accessKeyId: string): boolean {
    if (!this.exists) return false;
    const text = readFileSync(this.path);
    const holds = text.includes(accessKeyId);
    // The text also holds the secret.
    text.fill(0);
    return holds;
  }

  writePending(accessKeyId: string, secretAccessKey: string): void {
    mkdirSync(dirname(this.path), { recursive: true, mode: 0o700 });
    const text = `[default]\naws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\n`;
    try {
      writeFileSync(this.#pending(accessKeyId), text, { mode: 0o600, flag: 'wx', flush: true });
    } catch (error) {
      // Where the disk is full it would be one more with each attempt.
      rmSync(this.#pending(accessKeyId), { force: true });
      throw error;
    }
  }

  /** Returns false if nothing is pending for this access key. */
  completePending(accessKeyId: string): boolean {
    if (!existsSync(this.#pending(accessKeyId))) return false;
    renameSync(this.#pending(accessKeyId), this.path);
    return true;
  }

  /** Removes the secrets of access keys that were never created, because a start died or another was first. */
  dropPending(): void {
    if (!existsSync(dirname(this.path))) return;
    const [before = '', after = ''] = basename(this.#pending('*')).split('*');
    for (const name of readdirSync(dirname(this.path))) {
      if (name.startsWith(before) && name.endsWith(after)) rmSync(join(dirname(this.path), name));
    }
  }

  #pending(accessKeyId: string): string {
    return `${this.path}.${accessKeyId}.pending`;
  }
}
