import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../..');
/** The last line of what `npm start` prints once everything is up. */
const LAST_LINE = 'Ctrl-C stops everything';

/** `npm start` as a person runs it, in a terminal (process group) of its own. */
export class StartCommand implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  #output = '';

  /** `prefix`: the command line that it runs in, such as one that enters a namespace. */
  constructor(args: readonly string[], env: Readonly<Record<string, string>> = {}, prefix: readonly string[] = []) {
    const [command = '', ...rest] = [...prefix, 'npm', 'start', '--', ...args];
    this.#child = spawn(command, rest, {
      cwd: root,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      // Without npm's own news after the last line.
      env: { ...process.env, npm_config_update_notifier: 'false', ...env },
    });
    this.#exited = once(this.#child, 'close');
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (chunk: Buffer) => (this.#output += chunk.toString()));
    }
  }

  get output(): string {
    return this.#output;
  }

  /** Resolves to what was printed when the cluster is up; throws when the command ends before that. */
  async up(): Promise<string> {
    for (;;) {
      if (this.#output.includes(LAST_LINE)) return this.#output;
      const data = this.#child.stdout ? once(this.#child.stdout, 'data') : this.#exited;
      const ended = await Promise.race([data.then(() => false), this.#exited.then(() => true)]);
      if (ended) throw new Error(`npm start ended:\n${this.#output}`);
    }
  }

  /** The exit code, when it ends by itself. */
  async ended(): Promise<number | null> {
    await this.#exited;
    return this.#child.exitCode;
  }

  /** What Ctrl-C does: SIGINT to the whole group, of which npm makes its own end by that signal. */
  async interrupt(): Promise<void> {
    this.#signal('SIGINT');
    await this.#exited;
  }

  /** kill -9 of npm, the launcher and everything else of the group. */
  async kill(): Promise<void> {
    this.#signal('SIGKILL');
    await this.#exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await this.interrupt();
  }

  #signal(name: 'SIGINT' | 'SIGKILL'): void {
    if (this.#child.pid !== undefined) process.kill(-this.#child.pid, name);
  }
}
