import { join } from 'node:path';
import type { Home } from './home.ts';
import type { ProcessSpec } from './managed-process.ts';
import type { ServerCommand, ServerName } from './servers/find-server.ts';

export interface ServiceOptions {
  /** Another main for the hsm-workers, with hooks for a test. */
  readonly workerMain?: string;
  /** Arguments of Node before the main of each service: a benchmark's probes. */
  readonly nodeArgs?: readonly string[] | undefined;
}

const root = join(import.meta.dirname, '..');

/** How each process of a cluster is started. */
export function specsOf(
  home: Home,
  servers: Record<ServerName, ServerCommand>,
  domainManagers: readonly string[],
  { workerMain = mainOf('hsm-worker'), nodeArgs = [] }: ServiceOptions,
): ProcessSpec[] {
  const spec = (name: string, command: string, args: readonly string[]): ProcessSpec => {
    const logFile = home.in('log', `${name}.log`);
    return { name, command, args, env: environment(), logFile, pidFile: home.in('run', `${name}.pid`) };
  };
  const server = (name: ServerName, ...args: readonly string[]): ProcessSpec =>
    spec(name, servers[name].command, [...servers[name].args, ...args]);
  const service = (name: string, main: string): ProcessSpec =>
    spec(name, process.execPath, [...nodeArgs, main, '--config', home.in('config', `${name}.json`)]);
  return [
    server('redis', home.in('config', 'redis.conf')),
    server('nats', '-c', home.in('config', 'nats.conf')),
    ...home.workerNames.map((name) => service(name, workerMain)),
    ...domainManagers.map((name) => service(name, mainOf('domain-manager'))),
    service('frontend', mainOf('frontend')),
  ];
}

function mainOf(service: string): string {
  return join(root, 'services', service, 'src/main.ts');
}

/** Services are configured by their files; only telemetry's standard settings pass through. */
function environment(): Record<string, string> {
  const kept = Object.entries(process.env).filter(([name]) => name.startsWith('OTEL_') || name === 'PATH');
  return {
    ...(Object.fromEntries(kept) as Record<string, string>),
    NODE_COMPILE_CACHE: join(root, 'node_modules/.cache/keyfleet'),
  };
}
