import { cp, mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../../tools/readiness.ts';
import { type ControlPlane, startControlPlane } from './support/control-plane.ts';
import { certManagerDefinitions, prometheusDefinitions } from './support/binaries.ts';

const deploy = join(import.meta.dirname, '../../deploy/k8s');
const overlays = ['dev', 'prod'] as const;

let server: ControlPlane;
const resources = new AsyncDisposableStack();
beforeAll(async () => {
  server = await startControlPlane(resources);
  for (const folder of [await certManagerDefinitions(), await prometheusDefinitions()]) {
    const definitions = await server.kubectl(['apply', '--server-side', '--filename', folder]);
    expect([definitions.exitCode, definitions.stderr]).toEqual([0, '']);
  }
  await server.kubectl(['apply', '--filename', join(deploy, 'base/namespace.yaml')]);
  const hasAccount = async () => (await inKeyfleet('get', 'serviceaccount', 'default')).exitCode === 0;
  expect(await until(hasAccount, 30_000, () => false)).toBe(true);
});
afterAll(() => resources.disposeAsync());

function inKeyfleet(...args: readonly string[]) {
  return server.kubectl(['--namespace', 'keyfleet', ...args]);
}

test('every image is pinned, once its digest is in the place that the overlay prod has for it', async () => {
  await using copy = await mkdtempDisposable(join(tmpdir(), 'keyfleet-overlay-'));
  await cp(join(deploy, '..'), copy.path, { recursive: true });
  const prod = join(copy.path, 'k8s/overlays/prod');
  const file = join(prod, 'kustomization.yaml');
  const digest = `sha256:${'a'.repeat(64)}`;
  const text = await readFile(file, 'utf8');
  await writeFile(file, text.replace(/^.*newTag: .*\n/m, '').replace(/^ {2}# (- .*)DIGEST/gm, `  $1${digest}`));
  const { stdout } = await server.kubectl(['kustomize', prod]);
  const images = new Set([...stdout.matchAll(/^ +image: (.+)$/gm)].map(([, image]) => image));
  const names = ['registry.example.com/keyfleet', 'docker.io/library/redis', 'docker.io/library/nats'];
  expect(images).toEqual(new Set(names.map((name) => `${name}@${digest}`)));
});

interface Workload {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly replicas?: number };
}

describe.each(overlays)('the overlay %s', (overlay) => {
  test('is taken by the API server without a warning, every field known', async () => {
    const folder = join(deploy, 'overlays', overlay);
    const strict = ['apply', '--warnings-as-errors', '--validate=strict', '--kustomize', folder];
    const tried = await server.kubectl([...strict, '--dry-run=server']);
    expect([tried.exitCode, tried.stderr]).toEqual([0, '']);
    const applied = await server.kubectl(strict);
    expect([applied.exitCode, applied.stderr]).toEqual([0, '']);
  });

  test('has every Pod that it asks for made under Pod Security "restricted"', async () => {
    const { items } = await server.get<{ readonly items: readonly Workload[] }>(
      'statefulsets',
      '--namespace',
      'keyfleet',
    );
    const wanted = items.flatMap(({ metadata, spec }) =>
      Array.from({ length: spec.replicas ?? 1 }, (_, index) => `${metadata.name}-${index}`),
    );
    expect(wanted.length).toBeGreaterThan(9);
    const names = async (): Promise<string[]> => {
      const pods = await server.get<{ readonly items: readonly Workload[] }>('pods', '--namespace', 'keyfleet');
      return pods.items.map(({ metadata }) => metadata.name);
    };
    await expect.poll(names, { timeout: 60_000 }).toEqual(expect.arrayContaining(wanted));
    await expect
      .poll(async () => (await names()).filter((name) => name.startsWith('frontend-')).length)
      .toBeGreaterThan(0);
    const { stdout } = await inKeyfleet('get', 'events', '--field-selector', 'reason=FailedCreate', '--output', 'name');
    expect(stdout).toBe('');
  });
});

describe('the load test', () => {
  const apply = ['apply', '--warnings-as-errors', '--validate=strict', '--kustomize', join(deploy, 'load-test')];

  test('is taken by the API server without a warning, and its Pod is made under Pod Security "restricted"', async () => {
    const applied = await server.kubectl(apply);
    expect([applied.exitCode, applied.stderr]).toEqual([0, '']);
    const made = async () =>
      (await inKeyfleet('get', 'pods', '--selector', 'job-name=load-test', '--output', 'name')).stdout;
    await expect.poll(made, { timeout: 60_000 }).toMatch(/^pod\/load-test-/);
  });

  test('takes the place of one that was, as the documentation has it', async () => {
    const replaced = await server.kubectl(['replace', '--force', '--kustomize', join(deploy, 'load-test')]);
    expect([replaced.exitCode, replaced.stdout]).toEqual([0, expect.stringContaining('load-test replaced')]);
  });
});

test.each([
  ['workload-identity', 'whose frontends take tokens of the cluster', '"cluster-issuer-keys"'],
  ['authorities', 'whose services trust what a ConfigMap holds', '"name": "authorities"'],
  ['monitoring', 'that Prometheus scrapes', '"kind": "ServiceMonitor"'],
])('with the component %s an overlay is taken %s', async (component, _what, part) => {
  await using overlay = await mkdtempDisposable(join(tmpdir(), 'keyfleet-overlay-'));
  const folder = (name: string): string => relative(overlay.path, join(deploy, name));
  const kustomization = { resources: [folder('overlays/prod')], components: [folder(component)] };
  await writeFile(join(overlay.path, 'kustomization.yaml'), JSON.stringify(kustomization));
  const apply = ['apply', '--warnings-as-errors', '--validate=strict', '--dry-run=server', '--kustomize', overlay.path];
  const { exitCode, stdout, stderr } = await server.kubectl([...apply, '--output', 'json']);
  expect([exitCode, stderr]).toEqual([0, '']);
  expect(stdout).toContain(part);
});

test('the static Pod of docs/kubernetes-secrets.md is taken without a warning, every field known', async () => {
  const page = await readFile(join(deploy, '../../docs/kubernetes-secrets.md'), 'utf8');
  const [, manifest] = /^```yaml\n(apiVersion: v1\nkind: Pod\n.*?)^```$/ms.exec(page)!;
  const create = ['create', '--dry-run=server', '--validate=strict', '--warnings-as-errors', '--filename', '-'];
  const { exitCode, stderr } = await server.kubectl(create, manifest);
  expect([exitCode, stderr]).toEqual([0, '']);
});

describe('what is forbidden is refused', () => {
  const pod = (spec: object, container: object = {}): string =>
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'forbidden', namespace: 'keyfleet' },
      spec: {
        securityContext: { runAsNonRoot: true, runAsUser: 65_532, seccompProfile: { type: 'RuntimeDefault' } },
        ...spec,
        containers: [
          {
            name: 'one',
            image: 'keyfleet',
            securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
            ...container,
          },
        ],
      },
    });
  const create = (manifest: string) => server.kubectl(['create', '--dry-run=server', '--filename', '-'], manifest);

  test('a Pod that keeps to the rules is taken', async () => {
    expect((await create(pod({}))).exitCode).toBe(0);
  });

  test.each([
    ['privileged', pod({}, { securityContext: { privileged: true } })],
    ['in the network of its node', pod({ hostNetwork: true })],
    ['with a folder of its node', pod({ volumes: [{ name: 'node', hostPath: { path: '/' } }] })],
    ['as root', pod({ securityContext: { runAsUser: 0, seccompProfile: { type: 'RuntimeDefault' } } })],
    ['without a seccomp profile', pod({ securityContext: { runAsNonRoot: true } })],
    ['that keeps capabilities', pod({}, { securityContext: { allowPrivilegeEscalation: false } })],
  ])('a Pod %s', async (_what, manifest) => {
    const { exitCode, stderr } = await create(manifest);
    expect(exitCode).toBe(1);
    expect(stderr).toContain('violates PodSecurity "restricted');
  });

  test('a field that nobody knows', async () => {
    const { exitCode, stderr } = await create(pod({ nodeSelektor: {} }));
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining('unknown field "spec.nodeSelektor"')]);
  });
});
