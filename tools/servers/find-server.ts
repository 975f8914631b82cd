import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { execa } from 'execa';
import { StartError } from '../start-error.ts';

/** What is run, with the arguments that come before the server's own. */
export interface ServerCommand {
  readonly command: string;
  readonly args: readonly string[];
}

interface Server {
  /** Name of the program, and of its Debian package. */
  readonly name: 'redis-server' | 'nats-server';
  readonly image: string;
}

export type ServerName = 'redis' | 'nats';
const servers: Record<ServerName, Server> = {
  redis: { name: 'redis-server', image: 'redis:7.4' },
  nats: { name: 'nats-server', image: 'nats:2.11' },
};

/** Finds Redis and NATS on PATH, else installs them, else runs them in Docker. Throws StartError. */
export async function findServers(
  home: string,
  report: (line: string) => void,
): Promise<Record<ServerName, ServerCommand>> {
  const missing = Object.values(servers).filter((server) => findProgram(server.name) === undefined);
  const obstacle = missing.length > 0 ? await install(missing, report) : undefined;
  if (obstacle !== undefined) await assertDockerRuns(missing, obstacle);
  return { redis: commandOf(servers.redis, home), nats: commandOf(servers.nats, home) };
}

function commandOf(server: Server, home: string): ServerCommand {
  const program = findProgram(server.name);
  if (program !== undefined) return { command: program, args: [] };
  return {
    command: process.execPath,
    args: [join(import.meta.dirname, 'container.ts'), server.image, home, server.name],
  };
}

function findProgram(name: string): string | undefined {
  // Debian installs nats-server where only root's PATH looks.
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Returns what stood in the way, if anything did. */
async function install(missing: readonly Server[], report: (line: string) => void): Promise<string | undefined> {
  if (findProgram('apt-get') === undefined) return 'this system has no apt-get to install it with';
  const sudo = process.getuid?.() === 0 ? [] : ['sudo', '-n'];
  if (sudo.length > 0 && (await execa('sudo', ['-n', 'true'], { reject: false })).failed) {
    return 'installing it needs root, or sudo without a password';
  }
  const names = missing.map((server) => server.name);
  const apt = (...args: string[]) => {
    const [command = 'env', ...rest] = [...sudo, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', ...args];
    return execa(command, rest, { reject: false, stdin: 'ignore', all: true });
  };
  const installNames = ['install', '-y', '-q', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=120', ...names];
  report(`Installing ${names.join(' and ')} with apt-get (once) ...`);
  let result = await apt(...installNames);
  if (result.failed) {
    report('Refreshing the list of packages ...');
    await apt('update', '-q');
    result = await apt(...installNames);
  }
  if (!result.failed) return undefined;
  return `apt-get could not install it: ${result.all.trim().split('\n').at(-1) ?? 'no reason given'}`;
}

async function assertDockerRuns(missing: readonly Server[], obstacle: string): Promise<void> {
  try {
    // Loaded only here: it takes longer than everything else of a start.
    const { getContainerRuntimeClient } = await import('testcontainers');
    await getContainerRuntimeClient();
  } catch (error) {
    const names = missing.map((server) => server.name).join(' ');
    throw new StartError(
      `${names.replace(' ', ' and ')} not found, ${obstacle}, and Docker does not answer. ` +
        `Run 'sudo apt-get install ${names}', or start Docker, then run this again.`,
      { cause: error },
    );
  }
}
