import { join } from 'node:path';
import { writeFileSync } from 'node:fs';
import { execa } from 'execa';

const main = join(import.meta.dirname, '../../packages/kms-plugin/src/main.ts');

/** A KMS plugin as a process, up once its socket answers. Disposing kills it. */
export class KmsPluginProcess implements AsyncDisposable {
  readonly #process;

  /** `folder`: for its configuration. */
  constructor(folder: string, config: object) {
    const file = join(folder, 'kms-plugin.json');
    writeFileSync(file, JSON.stringify(config));
    this.#process = execa(process.execPath, [main, '--config', file], { reject: false, stdin: 'ignore' });
  }

  async kill(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.#process;
  }

  /** SIGTERM; resolves to its exit code, and its log if that is not 0. */
  async stop(): Promise<string> {
    this.#process.kill('SIGTERM');
    const { exitCode, stderr } = await this.#process;
    return exitCode === 0 ? '0' : `${exitCode}: ${stderr}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}
