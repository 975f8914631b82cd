import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { insideNetwork } from './container.ts';
import type { Founded } from './found.ts';

export interface Call {
  readonly operation: string;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly attempts: number;
  readonly error?: string;
}

/** A customer's process in a network namespace of its own, which calls with the AWS SDK without pause. */
export class SdkLoad implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  }

  /**
   * Resolves when the first calls were answered. `each`: how many clients make each kind of call; `secret`: of the
   * certificate that is for the name by which they reach the frontends.
   */
  static async start(topology: Founded, { pauseMs = 20, each = 1, secret = 'edge-tls' } = {}): Promise<SdkLoad> {
    const namespace = await topology.customer();
    const { secrets, certManager } = topology.objects;
    const ca = join(topology.directory, `${secret}-ca.crt`);
    writeFileSync(ca, secrets.get(secret)!['ca.crt'] ?? certManager.publicAuthority);
    const inside = 'mount --bind "$1" /etc/resolv.conf; shift; exec "$@"';
    const { accessKeyId, secretAccessKey } = topology.credentials;
    const program = [process.execPath, join(import.meta.dirname, 'sdk-calls.ts')];
    const args = [`https://${certManager.nameIn(secret)}`, accessKeyId, secretAccessKey, `${pauseMs}`, `${each}`];
    const child = spawn(
      'setpriv',
      insideNetwork(namespace, ['--mount']).concat(
        ['sh', '-c', inside, 'sh', join(topology.directory, 'resolv.conf')],
        program,
        args,
      ),
      { stdio: ['pipe', 'pipe', 'inherit'], env: { PATH: process.env['PATH'], NODE_EXTRA_CA_CERTS: ca } },
    );
    const load = new SdkLoad(child);
    await load.#line();
    return load;
  }

  /** Lets the calls end that were begun, and tells of all. Throws if a key is not there that was made. */
  async stop(): Promise<readonly Call[]> {
    this.#child.stdin!.end();
    const { calls, lost } = JSON.parse(await this.#line()) as {
      readonly calls: readonly Call[];
      readonly lost: readonly string[];
    };
    if (lost.length > 0) throw new Error(`made and lost: ${lost.join(', ')}`);
    return calls;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }

  async #line(): Promise<string> {
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error('the load ended; its stderr says why');
    return value;
  }
}

/** What came of the calls of an operation. */
export interface Outcome {
  readonly operation: string;
  readonly calls: number;
  readonly failed: number;
  /** That the SDK made more than once. */
  readonly repeated: number;
  readonly longestMs: number;
  /** The longest time in which none was answered well. */
  readonly unavailableMs: number;
  readonly errors: readonly string[];
}

/** Makes calls meanwhile, of which none may fail; `secret` as `SdkLoad` has it. */
export async function assertNoneFails(
  what: string,
  topology: Founded,
  meanwhile: () => Promise<unknown>,
  secret = 'edge-tls',
): Promise<void> {
  await using load = await SdkLoad.start(topology, { pauseMs: 100, secret });
  await meanwhile();
  const outcomes = outcomesOf(await load.stop());
  report(what, outcomes);
  const errors = outcomes.flatMap((outcome) => outcome.errors);
  if (errors.length > 0) throw new Error(`${what}: ${errors.join('; ')}`);
}

export function outcomesOf(calls: readonly Call[]): Outcome[] {
  const byOperation = Map.groupBy(calls, ({ operation }) => operation);
  return [...byOperation].map(([operation, all]) => {
    const failed = all.filter(({ error }) => error !== undefined);
    const answered = all.filter(({ error }) => error === undefined).map(({ endedAt }) => endedAt);
    const begin = Math.min(...all.map(({ startedAt }) => startedAt));
    const end = Math.max(...all.map(({ endedAt }) => endedAt));
    const times = [begin, ...answered, end].toSorted((a, b) => a - b);
    return {
      operation,
      calls: all.length,
      failed: failed.length,
      repeated: all.filter(({ attempts }) => attempts > 1).length,
      longestMs: Math.max(...all.map(({ startedAt, endedAt }) => endedAt - startedAt)),
      unavailableMs: Math.max(0, ...times.slice(1).map((time, index) => time - times[index]!)),
      errors: [...new Set(failed.map(({ error }) => error!))],
    };
  });
}

/** A line for each operation. */
export function report(what: string, outcomes: readonly Outcome[]): void {
  for (const { operation, calls, failed, repeated, longestMs, unavailableMs, errors } of outcomes) {
    const figures = `${calls} calls, ${failed} failed, ${repeated} repeated, longest ${longestMs} ms, none answered for ${unavailableMs} ms`;
    process.stdout.write(`${what}: ${operation}: ${figures} ${errors.join('; ')}\n`);
  }
}
