import { DomainManagerConfig } from '@keyfleet/domain-manager/config';
import { FrontendConfig } from '@keyfleet/frontend/config';
import { WorkerConfig } from '@keyfleet/hsm-worker/config';
import { loadConfig } from '@keyfleet/shared/config';
import { arrowsOf, baseManifests, plannedArrows, podSpecs } from '@keyfleet/test-support/manifests';
import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');
const manifests = baseManifests();
const pods = podSpecs(manifests);
const services = { frontend: FrontendConfig, 'hsm-worker': WorkerConfig, 'domain-manager': DomainManagerConfig };
const configOf = (service: keyof typeof services) =>
  loadConfig<(typeof services)[typeof service]>(services[service], join(root, 'deploy/config', `${service}.json`));

/** What Pod Security "restricted" asks for, and a root that cannot be written. */
const restricted = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
};

describe.each([...pods])('the Pods of %s', (_name, spec) => {
  test('run without privileges, on a read-only root, without a token of the cluster', () => {
    expect(spec.automountServiceAccountToken).toBe(false);
    expect(spec.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
    expect(spec.containers.map(({ securityContext }) => securityContext)).toEqual(
      spec.containers.map(() => restricted),
    );
  });

  test('ask for what they need, and are probed', () => {
    for (const { resources, startupProbe, livenessProbe, name } of spec.containers) {
      expect(resources, name).toMatchObject({ requests: { memory: expect.any(String) as string }, limits: {} });
      expect(startupProbe, name).toBeDefined();
      expect(livenessProbe, name).toBeDefined();
    }
  });
});

describe.each(['frontend', 'hsm-worker', 'domain-manager'] as const)('the manifest of %s', (service) => {
  const { containers, terminationGracePeriodSeconds } = pods.get(service)!;
  const [container] = containers;

  test('runs a program that exists, with the configuration that is checked', () => {
    const [main = '', option, config = ''] = container!.args!;
    expect(existsSync(join(root, main.replace('/keyfleet/', '')))).toBe(true);
    expect([option, basename(config)]).toEqual(['--config', `${service}.json`]);
  });

  test('lets it drain before it is killed, with five seconds to spare', () => {
    const preStop = container!.lifecycle?.preStop.sleep.seconds ?? 0;
    const drain = configOf(service).drain / 1000;
    expect(terminationGracePeriodSeconds).toBeGreaterThanOrEqual(preStop + drain + 5);
  });
});

test('the configurations name every Pod of the StatefulSets', () => {
  const replicas = (name: string) =>
    manifests.find(({ kind, metadata }) => kind === 'StatefulSet' && metadata.name === name)!.spec![
      'replicas'
    ] as number;
  const named = (name: string, port: number) =>
    Array.from({ length: replicas(name) }, (_, index) => `${name}-${index}.${name}.keyfleet.svc:${port}`);
  const texts = (addresses: readonly { readonly text: string }[]) => addresses.map(({ text }) => text);
  const frontend = loadConfig(FrontendConfig, join(root, 'deploy/config/frontend.json'));
  const manager = loadConfig(DomainManagerConfig, join(root, 'deploy/config/domain-manager.json'));
  const worker = loadConfig(WorkerConfig, join(root, 'deploy/config/hsm-worker.json'));
  expect(texts(frontend.hsmWorkers)).toEqual(named('hsm-worker', 8911));
  expect(texts(manager.hsmWorkers)).toEqual(named('hsm-worker', 8911));
  expect(texts(frontend.domainManagers)).toEqual(named('domain-manager', 8921));
  expect(texts(worker.domainManagers)).toEqual(named('domain-manager', 8921));
  const redis = `rediss+sentinel://${named('redis', 26_379).join(',')}/keyfleet`;
  expect([frontend.redis.url, manager.redis.url]).toEqual([redis, redis]);
});

describe('the network policies', () => {
  test('deny what none of them allows', () => {
    const deny = manifests.find(({ metadata }) => metadata.name === 'default-deny');
    expect(deny?.spec).toEqual({ podSelector: {}, policyTypes: ['Ingress', 'Egress'] });
  });

  const planned = plannedArrows();
  test('let out what deploy/k8s/arrows.yaml lists, and nothing else', () => {
    const fromUs = Object.entries(planned).filter(([arrow]) => !arrow.startsWith('anyone '));
    expect(arrowsOf(manifests, 'egress')).toEqual(Object.fromEntries(fromUs));
  });

  test('let in what it lists, and nothing else', () => {
    const anyone = Object.keys(planned).filter((arrow) => arrow.startsWith('anyone '));
    const open = anyone.map((arrow) => arrow.replace('anyone ', ''));
    // Whom anyone reaches everyone reaches.
    const listed = Object.entries(planned).filter(
      ([arrow]) => anyone.includes(arrow) || !open.some((to) => arrow.endsWith(to)),
    );
    expect(arrowsOf(manifests, 'ingress')).toEqual(Object.fromEntries(listed));
  });
});

test('alert rules ask for metrics that docs/monitoring.md lists, and name runbooks that exist', () => {
  const alerts = readFileSync(join(root, 'deploy/monitoring/alerts.yaml'), 'utf8');
  const documented = readFileSync(join(root, 'docs/monitoring.md'), 'utf8').match(/keyfleet(\.[a-z]+)+/g) ?? [];
  const known = new Set(documented.map((name) => name.replaceAll('.', '_')));
  const asked = (alerts.match(/keyfleet(_[a-z]+)+/g) ?? []).map((name) => name.replace(/_total$/, ''));
  expect(asked.length).toBeGreaterThan(5);
  expect(asked.filter((name) => !known.has(name))).toEqual([]);
  const runbooks = [...alerts.matchAll(/runbook: (\S+)/g)].map(([, path]) => path!);
  expect(runbooks.filter((path) => !existsSync(join(root, path)))).toEqual([]);
});
