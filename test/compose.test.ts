import { DomainManagerConfig } from '@keyfleet/domain-manager/config';
import { FrontendConfig } from '@keyfleet/frontend/config';
import { WorkerConfig } from '@keyfleet/hsm-worker/config';
import { loadConfig } from '@keyfleet/shared/config';
import { parseRedisUrl } from '@keyfleet/shared/redis/url';
import { composeServices, mountedAt } from '@keyfleet/test-support/compose';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

const deploy = join(import.meta.dirname, '../deploy');
const services = composeServices();
const dockerfile = readFileSync(join(deploy, 'docker/Dockerfile'), 'utf8');
const ours = ['frontend', 'hsm-worker-0', 'hsm-worker-1', 'domain-manager'] as const;

const frontend = loadConfig(FrontendConfig, join(deploy, 'compose/frontend.json'));
const manager = loadConfig(DomainManagerConfig, join(deploy, 'compose/domain-manager.json'));
const worker = loadConfig(WorkerConfig, join(deploy, 'compose/hsm-worker.json'));
const configOf = { frontend, 'domain-manager': manager, 'hsm-worker-0': worker, 'hsm-worker-1': worker };

test.each([...services])('%s is confined, and called by the name that others call it by', (name, service) => {
  expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] });
  expect(service.user).toMatch(/^[1-9]\d*:[1-9]\d*$/);
  expect(service.hostname).toBe(name);
});

test('nothing but the frontend is reached from another machine', () => {
  const open = [...services].filter(([, { ports = [] }]) => ports.some((port) => !port.startsWith('127.0.0.1:')));
  expect(open.map(([name]) => name)).toEqual(['frontend']);
});

describe.each(ours)('%s', (name) => {
  const service = services.get(name)!;
  const config = configOf[name];
  const text = JSON.stringify(config);

  test('runs a program of the image, as its user, with the configuration that is checked', () => {
    const [main = '', option, file = ''] = service.command;
    expect(existsSync(join(deploy, '..', main.replace('/keyfleet/', '')))).toBe(true);
    expect(dockerfile).toContain(`USER ${service.user}\n`);
    expect(dockerfile).toContain('COPY --from=build /keyfleet /keyfleet');
    expect(option).toBe('--config');
    expect(mountedAt(service, file)).toBe(`./compose/${name.replace(/-\d$/, '')}.json`);
    expect(service.image).toBe(services.get('frontend')!.image);
  });

  test('has every file mounted that its configuration names', () => {
    const paths = text.match(/"\/[^"]+"/g)?.map((path) => path.slice(1, -1)) ?? [];
    expect(paths.length).toBeGreaterThan(6);
    expect(paths.filter((path) => mountedAt(service, path) === undefined)).toEqual([]);
  });

  test('publishes ports that it listens on, and may drain', () => {
    const listens = [config.grpc, ...('http' in config ? [config.http] : [])].map(({ port }) => port);
    const published = (service.ports ?? []).map((port) => Number(port.split(':').at(-1)));
    expect(published.filter((port) => !listens.includes(port))).toEqual([]);
    expect(Number.parseInt(service.stop_grace_period, 10) * 1000).toBeGreaterThanOrEqual(config.drain + 5000);
  });
});

test('every service that another calls is there, and listens on that port', () => {
  const portOf = (name: string) => configOf[name as (typeof ours)[number]].grpc.port;
  const called = [...frontend.hsmWorkers, ...frontend.domainManagers, ...manager.hsmWorkers, ...worker.domainManagers];
  expect(called.map(({ host, port }) => [host, port])).toEqual(called.map(({ host }) => [host, portOf(host)]));
  expect(frontend.hsmWorkers.map(({ host }) => host)).toEqual(ours.filter((name) => name.startsWith('hsm-worker')));

  const setting = (file: string, pattern: RegExp) =>
    Number(pattern.exec(readFileSync(join(deploy, file), 'utf8'))?.[1] ?? NaN);
  const redis = setting('redis/redis.conf', /^tls-port (\d+)$/m);
  const nats = setting('nats/nats.conf', /^listen: "0.0.0.0:(\d+)"$/m);
  for (const config of [frontend, manager]) {
    expect(parseRedisUrl(config.redis.url)).toMatchObject({ tls: true, nodes: [{ host: 'redis', port: redis }] });
  }
  for (const config of [frontend, manager, worker]) expect(config.nats?.servers).toEqual([`nats:${nats}`]);
});

test('prepare.sh lays out everything that is mounted', () => {
  const script = readFileSync(join(deploy, 'compose/prepare.sh'), 'utf8');
  const mounts = [...services].flatMap(([name, { volumes }]) => volumes.map((volume) => ({ name, volume })));
  const own = mounts.filter(({ volume }) => volume.startsWith('${KEYFLEET_DIR}/'));
  // Each from its own folder, but for what all have.
  expect(
    own.filter(
      ({ name, volume }) =>
        !volume.startsWith('${KEYFLEET_DIR}/trust-anchor.json:') && !volume.startsWith(`\${KEYFLEET_DIR}/${name}/`),
    ),
  ).toEqual([]);
  for (const [name] of services) expect(script).toContain(name);
});
