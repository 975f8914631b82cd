import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findProgram, installPackages } from '../../tools/debian-packages.ts';

const run = promisify(execFile);

/** A token of SoftHSM2 (Debian: softhsm2) in a directory. */
export class SoftHsm {
  static readonly module = '/usr/lib/softhsm/libsofthsm2.so';
  readonly label: string;
  readonly environment: { readonly SOFTHSM2_CONF: string };
  readonly #tokens: string;

  private constructor(directory: string, label: string) {
    this.label = label;
    this.#tokens = join(directory, 'tokens');
    this.environment = { SOFTHSM2_CONF: join(directory, 'softhsm2.conf') };
  }

  /** Installs SoftHSM2, and OpenSC to look at it, where they are missing. */
  static async make(directory: string, { label, pin }: { label: string; pin: string }): Promise<SoftHsm> {
    if (findProgram('softhsm2-util') === undefined || findProgram('pkcs11-tool') === undefined) {
      const problem = await installPackages(['softhsm2', 'opensc'], (line) => void process.stderr.write(`${line}\n`));
      if (problem !== undefined) throw new Error(`softhsm2: ${problem}`);
    }
    if (!existsSync(SoftHsm.module)) throw new Error(`${SoftHsm.module} is missing`);
    const made = new SoftHsm(directory, label);
    mkdirSync(made.#tokens);
    const lines = [`directories.tokendir = ${made.#tokens}`, 'objectstore.backend = file', 'log.level = ERROR'];
    writeFileSync(made.environment.SOFTHSM2_CONF, `${lines.join('\n')}\n`);
    await made.#run('softhsm2-util', [
      '--init-token',
      '--free',
      '--label',
      label,
      '--so-pin',
      'so-pin-1',
      '--pin',
      pin,
    ]);
    return made;
  }

  /** What OpenSC says of the secret keys in it. */
  async listKeys(pin: string): Promise<string> {
    return this.#pkcs11(pin, '--list-objects', '--type', 'secrkey');
  }

  /** Makes an AES-256 key beside those that are there, with OpenSC. */
  async makeKey(pin: string, label: string, ...options: readonly string[]): Promise<void> {
    await this.#pkcs11(pin, '--keygen', '--key-type', 'AES:32', '--label', label, ...options);
  }

  /** Puts a key of 32 bytes beside those that are there. */
  async writeKey(pin: string, label: string, key: Uint8Array): Promise<void> {
    const file = `${this.#tokens}.key`;
    writeFileSync(file, key, { mode: 0o600 });
    await this.#pkcs11(pin, '--write-object', file, '--type', 'secrkey', '--key-type', 'AES:32', '--label', label);
  }

  /** Deletes a secret key from the token. Its other users notice only there. */
  async loseKey(pin: string, label: string): Promise<void> {
    await this.#pkcs11(pin, '--delete-object', '--type', 'secrkey', '--label', label);
  }

  async changePin(pin: string, next: string): Promise<void> {
    await this.#pkcs11(pin, '--change-pin', '--new-pin', next);
  }

  #pkcs11(pin: string, ...args: readonly string[]): Promise<string> {
    const login = ['--module', SoftHsm.module, '--token-label', this.label, '--login', '--pin', pin];
    return this.#run('pkcs11-tool', [...login, ...args]);
  }

  async #run(program: string, args: readonly string[]): Promise<string> {
    return (await run(program, args, { env: { ...process.env, ...this.environment } })).stdout;
  }
}
