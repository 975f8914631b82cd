import { CreateKeyCommand, EncryptCommand, KMSClient } from '@aws-sdk/client-kms';
import { startServer } from '@keyfleet/test-support/servers';
import { execa } from 'execa';
import getPort from 'get-port';
import { mkdtempDisposable, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readCredentials } from '../../tools/aws-files.ts';
import { foundDomain } from '../../tools/ceremony.ts';
import { openHome } from '../../tools/home.ts';
import { describeWorker, frontendReady, until } from '../../tools/readiness.ts';
import { natsConfig } from '../../tools/servers/nats.ts';
import { redisConfig } from '../../tools/servers/redis.ts';
import { natsSettings, redisSettings, writeConfigs } from '../../tools/service-configs.ts';
import { buildImageRoot, buildSbom, buildTree, type ImageRoot } from './support/image-root.ts';
import { runInImage } from './support/in-image.ts';
import { differences, layerDigest } from './support/layer.ts';

/** Outside /tmp, which the image has one of its own of. */
const VOLUMES = '/var/tmp';

let image: ImageRoot;
let directory: string;
const resources = new AsyncDisposableStack();
beforeAll(async () => {
  if (process.getuid?.() !== 0) throw new Error('The tests of the image need root: they mount its tree read-only.');
  directory = resources.use(await mkdtempDisposable(join(VOLUMES, 'keyfleet-image-'))).path;
  image = await buildImageRoot(directory);
}, 300_000);
afterAll(() => resources.disposeAsync());

test('the image has no shell, no test, no build tool and nothing that its user owns or that runs as another', async () => {
  const { stdout } = await execa('find', [
    image.path,
    '-regex',
    '.*/bin/[^/]*',
    '-not',
    '-type',
    'd',
    '-printf',
    '%P\n',
  ]);
  const programs = stdout.split('\n').filter((path) => !path.includes('node_modules/'));
  expect(programs).toEqual(['keyfleet/bin/node']);
  const modules = await readdir(join(image.path, 'keyfleet/node_modules/.pnpm'));
  expect(modules.filter((name) => /^(vitest|typescript|oxlint|prettier|testcontainers|node-linux)/.test(name))).toEqual(
    [],
  );
  const find = async (...conditions: readonly string[]): Promise<string> =>
    (await execa('find', [image.path, ...conditions])).stdout;
  expect(await find('-name', '*.test.ts', '-not', '-path', '*/node_modules/*')).toBe('');
  expect(await find('-user', image.user.split(':')[0]!)).toBe('');
  expect(await find('-perm', '/6000')).toBe('');
});

test('two builds make the same layer, of checkouts of other times and another umask', async () => {
  const [first, second] = [join(directory, 'first'), join(directory, 'build')];
  await rename(second, first);
  await using checkout = await mkdtempDisposable(join(VOLUMES, 'keyfleet-checkout-'));
  const copy = `git ls-files -z --cached --others --exclude-standard |
    tar --null --files-from - --ignore-failed-read --create | tar --extract --directory "$1"
    chmod -R g+w "$1"; find "$1" -exec touch --no-dereference --date 1999-12-31 {} +`;
  await execa('sh', ['-c', copy, 'copy', checkout.path], { cwd: join(import.meta.dirname, '../..') });
  await buildTree(directory, checkout.path);
  expect(await differences(first, second)).toBe('');
  expect(await layerDigest(second)).toBe(await layerDigest(first));
}, 300_000);

test('the SBOM lists every package of the image with its version', async () => {
  const { bomFormat, components } = JSON.parse(await buildSbom(directory)) as {
    readonly bomFormat: string;
    readonly components: readonly { readonly group?: string; readonly name: string; readonly version: string }[];
  };
  expect(bomFormat).toBe('CycloneDX');
  const listed = new Set(
    components.map(({ group, name, version }) => `${group === undefined ? '' : `${group}+`}${name}@${version}`),
  );
  const modules = await readdir(join(image.path, 'keyfleet/node_modules/.pnpm'));
  // Those that were resolved with others have these after an underscore.
  const installed = modules.filter((name) => name.includes('@', 1)).map((name) => name.replace(/_.*$/, ''));
  expect(installed.length).toBeGreaterThan(50);
  expect(installed.filter((name) => !listed.has(name))).toEqual([]);
});

test('the pnpm of the image is that of the checkout', async () => {
  const root = join(import.meta.dirname, '../..');
  const versions = async (file: string): Promise<Set<string>> =>
    new Set((await readFile(join(root, file), 'utf8')).match(/pnpm@[\d.]+/g));
  expect(await versions('deploy/docker/Dockerfile')).toEqual(await versions('tools/run.mjs'));
});

test('its root cannot be written', async () => {
  const write = `require('node:fs').writeFileSync('/keyfleet/x', '')`;
  const { stderr } = await runInImage(image, { mounts: [] }, ['-e', write]);
  expect(stderr).toContain('EROFS');
});

test('every service runs from it, a domain is founded, a key is made and used, and SIGTERM ends each with 0', async () => {
  await using stack = new AsyncDisposableStack();
  const { path } = stack.use(await mkdtempDisposable(join(VOLUMES, 'keyfleet-volume-')));
  const home = openHome({ path: join(path, 'home'), workers: 2, accountId: undefined });
  const [http, grpc, domainManager, ...workers] = await Promise.all(Array.from({ length: 5 }, () => getPort()));
  const own = { http: http!, grpc: grpc!, domainManager: domainManager!, otherDomainManagers: [], workers };
  const redis = stack.use(
    await startConfigured('redis-server', (port, directory) =>
      redisConfig({ ...redisSettings(home, { ...own, redis: port, nats: 0 }), directory }),
    ),
  );
  const nats = stack.use(
    await startConfigured('nats-server', (port, directory) =>
      natsConfig({ ...natsSettings(home, { ...own, redis: 0, nats: port }), directory }),
    ),
  );
  const ports = { ...own, redis: redis.port, nats: nats.port };
  writeConfigs(home, ports);
  await execa('chown', ['-R', image.user, path]);

  const run = (service: string, name = service) =>
    runInImage(image, { mounts: [{ source: path, target: path, readOnly: false }] }, [
      `/keyfleet/services/${service}/src/main.ts`,
      '--config',
      home.in('config', `${name}.json`),
    ]);
  const services = [...home.workerNames.map((name) => run('hsm-worker', name)), run('domain-manager'), run('frontend')];
  for (const service of services) stack.defer(async () => void (await stop(service)));
  let ended = 0;
  for (const service of services) void service.then(() => ended++);
  const ready = async (isReady: () => Promise<boolean>): Promise<void> => {
    const ok = await until(isReady, 60_000, () => ended > 0);
    if (!ok) await Promise.all(services.map(stop));
    expect(ok ? '' : (await Promise.all(services)).map(({ stderr }) => stderr).join('\n')).toBe('');
  };
  await ready(async () =>
    (await Promise.all(workers.map((port) => describeWorker(port)))).every((worker) => worker !== undefined),
  );
  await foundDomain(home, ports);
  const endpoint = `http://127.0.0.1:${ports.http}`;
  await ready(() => frontendReady(endpoint));

  const kms = new KMSClient({ endpoint, region: 'us-east-1', credentials: readCredentials(home) });
  const { KeyMetadata } = await kms.send(new CreateKeyCommand({}));
  const { CiphertextBlob } = await kms.send(
    new EncryptCommand({ KeyId: KeyMetadata!.Arn!, Plaintext: Buffer.from('from an image') }),
  );
  expect(CiphertextBlob!.length).toBeGreaterThan(100);
  kms.destroy();
  expect((await stat(home.in('hsm-worker-1', 'identity'))).uid).toBe(Number(image.user.split(':')[0]));

  const ends = await Promise.all(services.map(stop));
  expect(ends.map(({ exitCode, stderr }) => (exitCode === 0 ? 0 : stderr))).toEqual([0, 0, 0, 0]);
});

/** With the users of deploy/, as `npm start` configures it. */
function startConfigured(command: 'redis-server' | 'nats-server', config: (port: number, directory: string) => string) {
  return startServer(async (port, directory) => {
    const file = join(directory, 'server.conf');
    await writeFile(file, config(port, directory), { mode: 0o600 });
    return { command, args: command === 'nats-server' ? ['--config', file] : [file] };
  });
}

/** SIGTERM to what `unshare` runs, as a container's runtime sends it: to the first process of the namespace. */
async function stop(service: ReturnType<typeof runInImage>) {
  const children = await readFile(`/proc/${service.pid}/task/${service.pid}/children`, 'utf8').catch(() => '');
  if (children !== '') process.kill(Number(children.split(' ')[0]), 'SIGTERM');
  return service;
}
