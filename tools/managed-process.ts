import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, fstatSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';

export interface ProcessSpec {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly logFile: string;
  readonly pidFile: string;
}

/** Called when the process ends although nobody asked for it; `how` is its exit code or signal. */
export type UnexpectedExit = (process: ManagedProcess, how: string) => void;

/** The time for an orderly stop, before the process is killed. */
const STOP_GRACE_MS = 8000;
const SETPRIV = '/usr/bin/setpriv';

/** A child process with a log file and a pid file, started and stopped by name. */
export class ManagedProcess {
  readonly spec: ProcessSpec;
  readonly #onUnexpectedExit: UnexpectedExit;
  #child: ChildProcess | undefined;
  #expectedToEnd = false;
  /** Where in the log file its output since the last start begins. */
  #outputFrom = 0;

  constructor(spec: ProcessSpec, onUnexpectedExit: UnexpectedExit) {
    this.spec = spec;
    this.#onUnexpectedExit = onUnexpectedExit;
  }

  /** Undefined when it does not run. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** What it has written since it was last started. */
  get output(): string {
    const log = openSync(this.spec.logFile, 'r');
    try {
      const bytes = Buffer.alloc(Math.max(0, fstatSync(log).size - this.#outputFrom));
      return bytes.toString('utf8', 0, readSync(log, bytes, { position: this.#outputFrom }));
    } finally {
      closeSync(log);
    }
  }

  /** Throws when the log or pid file cannot be written, as on a full disk; then nothing runs. */
  start(): void {
    if (this.#child) return;
    const { logFile, pidFile, env } = this.spec;
    const log = openSync(logFile, 'a', 0o600);
    this.#outputFrom = fstatSync(log).size;
    const [command, args] = endingWithParent(this.spec);
    // A session of its own: Ctrl-C in the terminal reaches the launcher alone, which stops its processes in order.
    const child = spawn(command, args, { stdio: ['ignore', log, log], env, detached: true });
    closeSync(log);
    child.on('error', (error) => this.#ended(child, error.message));
    child.once('exit', (code, signal) => this.#ended(child, signal ?? `exit code ${code}`));
    try {
      if (child.pid !== undefined) writeFileSync(pidFile, `${child.pid}\n`);
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    }
    this.#child = child;
    this.#expectedToEnd = false;
  }

  /** SIGTERM, and SIGKILL if that is not heard. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM');
  }

  /** SIGKILL: what a crash looks like. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    this.#expectedToEnd = true;
    const child = this.#child;
    if (!child) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    const grace = new AbortController();
    const inTime = await Promise.race([
      ended.then(() => true),
      setTimeout(STOP_GRACE_MS, false, { signal: grace.signal }),
    ]);
    grace.abort();
    if (!inTime) child.kill('SIGKILL');
    await ended;
  }

  #ended(child: ChildProcess, how: string): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    rmSync(this.spec.pidFile, { force: true });
    if (!this.#expectedToEnd) this.#onUnexpectedExit(this, how);
  }
}

/** Where the system can do it, a process is told to stop when its launcher dies, however that dies. */
function endingWithParent({ command, args }: ProcessSpec): [string, readonly string[]] {
  return existsSync(SETPRIV) ? [SETPRIV, ['--pdeathsig', 'TERM', '--', command, ...args]] : [command, args];
}
