import { type ComposeService, composeServices, mountsOf } from '@keyfleet/test-support/compose';
import { chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Container, type Mount } from './topology/container.ts';
import { Network } from './topology/network.ts';

const deploy = join(import.meta.dirname, '../../../deploy');
const node = `/keyfleet/node_modules/node-linux-${process.arch}/bin/node`;
/** The entry points of the images; the programs are this machine's. */
const entrypoints: Readonly<Record<string, readonly string[]>> = { keyfleet: [node], redis: [] };
const EXEC_MS = 60_000;

export interface ComposeContainer {
  readonly address: string;
  readonly logFile: string;
  /** Whether its health check says that it is well; it is when it has none. */
  healthy(): Promise<boolean>;
  /** As `docker compose exec` does it. */
  exec(command: readonly string[]): ReturnType<Container['exec']>;
  /** SIGTERM, and SIGKILL after `stop_grace_period`. Its exit code; null: it was killed. */
  stop(): Promise<number | null>;
}

/** The services of deploy/compose.yaml by name, as processes in networks of their own; they end with `resources`. */
export async function startCompose(
  keyfleetDir: string,
  directory: string,
  resources: AsyncDisposableStack,
): Promise<ReadonlyMap<string, ComposeContainer>> {
  const network = resources.use(await Network.start());
  const places = new Map<string, { namespace: string; address: string }>();
  for (const [name] of composeServices()) places.set(name, await network.add());
  const hosts = join(directory, 'hosts');
  const lines = [...places].map(([name, { address }]) => `${address} ${name}`);
  writeFileSync(hosts, ['127.0.0.1 localhost', ...lines, ''].join('\n'));
  const containers = [...composeServices()].map(([name, service]) => {
    const own = join(directory, name);
    mkdirSync(join(own, 'root'), { recursive: true });
    const place = places.get(name)!;
    const mounts = [...mountsIn(service, keyfleetDir, own), { source: hosts, target: '/etc/hosts', readOnly: true }];
    const container = startContainer(service, { ...place, mounts, own, keyfleetDir });
    resources.defer(async () => {
      container.signal('SIGKILL');
      await container.ended;
    });
    return [name, handleOf(service, container, place.address, join(own, 'log'))] as const;
  });
  return new Map(containers);
}

interface Place {
  readonly namespace: string;
  readonly mounts: readonly Mount[];
  readonly own: string;
  readonly keyfleetDir: string;
}

function startContainer(service: ComposeService, { namespace, mounts, own, keyfleetDir }: Place): Container {
  const [user = 0, group = 0] = service.user.split(':').map(Number);
  const image = service.image.replace(/:.*$/, '');
  const env = (service.env_file ?? []).flatMap((file) => assignmentsIn(file.replace('${KEYFLEET_DIR}', keyfleetDir)));
  const parts = {
    namespace,
    command: [...(service.entrypoint ?? entrypoints[image]!), ...service.command],
    mounts,
    env: { HOSTNAME: service.hostname, ...Object.fromEntries(env) },
    user: { runAsUser: user, runAsGroup: group, fsGroup: group },
    logFile: join(own, 'log'),
  };
  return new Container(parts, join(own, 'root'));
}

function assignmentsIn(file: string): (readonly [string, string])[] {
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  return lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)] as const);
}

function mountsIn(service: ComposeService, keyfleetDir: string, own: string): Mount[] {
  const mounted = mountsOf(service).map(({ source, ...mount }) => ({
    ...mount,
    source: source.startsWith('./') ? join(deploy, source) : source.replace('${KEYFLEET_DIR}', keyfleetDir),
  }));
  const inMemory = (service.tmpfs ?? []).map((tmpfs, index) => {
    const [target = '', options = ''] = tmpfs.split(':');
    const [, user, group] = /uid=(\d+),gid=(\d+),mode=0700/.exec(options)!;
    const source = join(own, `tmpfs-${index}`);
    mkdirSync(source, { mode: 0o700 });
    chownSync(source, Number(user), Number(group));
    return { source, target, readOnly: false };
  });
  return [...mounted, ...inMemory];
}

function handleOf(service: ComposeService, container: Container, address: string, logFile: string): ComposeContainer {
  const exec = (command: readonly string[]) =>
    container.exec(
      command.map((word) => (word === '/keyfleet/bin/node' ? node : word)),
      EXEC_MS,
    );
  return {
    address,
    logFile,
    exec,
    healthy: async () =>
      container.running &&
      (service.healthcheck === undefined || (await exec(service.healthcheck.test.slice(1))).exitCode === 0),
    async stop() {
      const graceMs = Number.parseInt(service.stop_grace_period, 10) * 1000;
      const late = setTimeout(() => container.signal('SIGKILL'), graceMs);
      container.signal('SIGTERM');
      const [code] = await container.ended;
      clearTimeout(late);
      return code;
    },
  };
}
