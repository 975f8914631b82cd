import { join } from 'node:path';
import { findProgram, installPackages } from '../debian-packages.ts';
import { StartError } from '../start-error.ts';

/** The program, and the arguments before the server's own. */
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
  const names = missing.map((server) => server.name);
  const obstacle = names.length > 0 ? await installPackages(names, report) : undefined;
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

async function assertDockerRuns(missing: readonly Server[], obstacle: string): Promise<void> {
  try {
    // Loaded only here: it takes longer than the rest of a start.
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
