import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { newPort } from '../../tools/ports.ts';

/**
 * A real server process of its own, with its data in a temporary directory. Disposing of it kills it and removes the
 * data.
 */
export interface TestServer extends AsyncDisposable {
  readonly port: number;
  /** `kill -9`; the data stays, and so does the port. */
  kill(): Promise<void>;
  /** Starts it again on the same data and port. */
  restart(): Promise<void>;
}

/**
 * Redis with the durability that Keyfleet asks of it: every write is on disk before it is acknowledged. `settings` are
 * added.
 */
export function startRedis(settings: readonly string[] = []): Promise<TestServer> {
  const durable = ['--appendonly', 'yes', '--appendfsync', 'always'];
  return startServer((port, dir) => ({
    command: 'redis-server',
    args: ['--bind', '127.0.0.1', '--port', `${port}`, '--dir', dir, ...durable, ...settings],
  }));
}

/** A Sentinel that watches `master` as "keyfleet" and replaces it by its replica some seconds after it is gone. */
export async function startSentinel(master: TestServer): Promise<TestServer> {
  const settings = [
    `monitor keyfleet 127.0.0.1 ${master.port} 1`,
    // Shorter, and a busy machine makes a live master look dead: it is then replaced before the test kills it.
    'down-after-milliseconds keyfleet 10000',
    // What one failover may take: shorter, and a busy machine has it given up, and tried again after twice this.
    'failover-timeout keyfleet 15000',
  ];
  return startServer(async (port, dir) => {
    const file = join(dir, 'sentinel.conf');
    const lines = [`port ${port}`, 'bind 127.0.0.1', `dir ${dir}`, ...settings.map((line) => `sentinel ${line}`)];
    await writeFile(file, `${lines.join('\n')}\n`);
    return { command: 'redis-server', args: [file, '--sentinel'] };
  });
}

/** NATS with JetStream. */
export function startNats(): Promise<TestServer> {
  return startServer((port, dir) => ({
    command: 'nats-server',
    args: ['--addr', '127.0.0.1', '--port', `${port}`, '--jetstream', '--store_dir', dir],
  }));
}

export interface Command {
  readonly command: string;
  readonly args: string[];
}
export type CommandLine = (port: number, dir: string) => Command | Promise<Command>;

export async function startServer(commandLine: CommandLine): Promise<TestServer> {
  await using resources = new AsyncDisposableStack();
  const port = await newPort();
  const dir = await mkdtemp(join(tmpdir(), 'keyfleet-test-'));
  // A process that Redis forked, to write its file anew, writes for a moment after it was killed.
  resources.defer(() => rm(dir, { recursive: true, force: true, maxRetries: 50, retryDelay: 20 }));
  const { command, args } = await commandLine(port, dir);
  let running: ChildProcess | undefined;

  async function restart(): Promise<void> {
    running = spawn(command, args, { stdio: 'ignore' });
    await listening(port, running);
  }
  async function kill(): Promise<void> {
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
    const exit = once(running, 'exit');
    running.kill('SIGKILL');
    await exit;
  }
  resources.defer(kill);
  await restart();
  const owned = resources.move();
  return { port, kill, restart, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Far more than a start takes: only a server that never comes up meets it. */
const LISTENS_WITHIN_MS = 60_000;

async function listening(port: number, server: ChildProcess): Promise<void> {
  const deadline = Date.now() + LISTENS_WITHIN_MS;
  while (!(await accepts(port))) {
    if (server.exitCode !== null)
      throw new Error(`${server.spawnfile} ended with ${server.exitCode} before it listened`);
    if (Date.now() > deadline) throw new Error(`${server.spawnfile} does not listen on port ${port}`);
    await delay(20);
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
