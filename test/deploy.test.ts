import { DomainManagerConfig } from '@keyfleet/domain-manager/config';
import { MAX_FRONTENDS_OF_HOST } from '@keyfleet/hsm-worker/boundary/host-load';
import { FrontendConfig } from '@keyfleet/frontend/config';
import { PluginConfig } from '@keyfleet/kms-plugin/config';
import { WorkerConfig } from '@keyfleet/hsm-worker/config';
import { loadConfig } from '@keyfleet/shared/config';
import { MAX_DOMAIN_KEYS } from '@keyfleet/shared/domain/state';
import {
  arrowsOf,
  manifestsIn,
  parseManifests,
  plannedArrows,
  type PodSpec,
  podSpecs,
  specInProd,
} from '@keyfleet/test-support/manifests';
import { refusedByPublicIssuers } from '@keyfleet/test-support/public-issuer';
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { mebibytes } from './kubernetes/support/topology/usage.ts';

const root = join(import.meta.dirname, '..');
const manifests = manifestsIn('base');
const pods = podSpecs(manifests);
const loadTest = manifestsIn('load-test');
const monitoring = manifestsIn('monitoring');
const services = { frontend: FrontendConfig, 'hsm-worker': WorkerConfig, 'domain-manager': DomainManagerConfig };
const configOf = (service: keyof typeof services) =>
  loadConfig<(typeof services)[typeof service]>(services[service], join(root, 'deploy/config', `${service}.json`));

/** What Pod Security "restricted" asks for, and a root that cannot be written. */
const restricted = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
};

describe.each([...pods, ...podSpecs(loadTest)])('the Pods of %s', (_name, spec) => {
  test('run without privileges, on a read-only root, without a token of the cluster', () => {
    expect(spec.automountServiceAccountToken).toBe(false);
    expect(spec.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
    expect(spec.containers.map(({ securityContext }) => securityContext)).toEqual(
      spec.containers.map(() => restricted),
    );
  });
});

describe.each([...pods])('the Pods of %s', (_name, spec) => {
  test('ask for what they need, and are probed', () => {
    for (const { resources, startupProbe, livenessProbe, name } of spec.containers) {
      const limited = { memory: expect.any(String) as string, 'ephemeral-storage': expect.any(String) as string };
      expect(resources, name).toMatchObject({ requests: limited, limits: limited });
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

test('a domain-manager has room for the domain tokens of all rotations that it may have, each with the keys before it', () => {
  const { limits } = pods.get('domain-manager')!.containers[0]!.resources as { limits: { memory: string } };
  const bytesPerKey = 140;
  const tokens = (bytesPerKey * MAX_DOMAIN_KEYS ** 2) / 2;
  // Half as much again: for what reads them, and what Node.js has not collected yet.
  expect(mebibytes(limits.memory) * 1024 ** 2).toBeGreaterThan(1.5 * tokens);
});

test('behind a load balancer, a frontend serves on for as long as that needs, and drains before it is killed', () => {
  const overlay = readFileSync(join(root, 'deploy/k8s/overlays/prod/kustomization.yaml'), 'utf8');
  const replaced = (path: string) =>
    Number(new RegExp(`path: /spec/template/spec/${path}, value: (\\d+)}`).exec(overlay)?.[1]);
  const preStop = replaced('containers/0/lifecycle/preStop/sleep/seconds');
  expect(preStop).toBeGreaterThanOrEqual(30);
  expect(replaced('terminationGracePeriodSeconds')).toBe(preStop + configOf('frontend').drain / 1000 + 5);
});

test('the autoscaler makes no more frontends than may share a host key, nor does an update', () => {
  const { spec } = manifests.find(({ kind }) => kind === 'HorizontalPodAutoscaler')!;
  const extra = 1;
  expect((spec!['maxReplicas'] as number) + extra).toBeLessThanOrEqual(MAX_FRONTENDS_OF_HOST);
});

test('what holds keys, or all records of them, is the last to give way on a node', () => {
  const [priority] = manifests.filter(({ kind }) => kind === 'PriorityClass');
  const chosen = [...pods].filter(([, { priorityClassName }]) => priorityClassName === priority?.metadata.name);
  expect(chosen.map(([name]) => name).toSorted()).toEqual(['hsm-worker', 'redis']);
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

test('the routes of NATS name every Pod, and the user and password without which none is taken', () => {
  const routes = pods.get('nats')!.containers[0]!.env!.find(({ name }) => name === 'ROUTES')!.value!;
  const named = [0, 1, 2].map((index) => `nats://route:$(ROUTE_PASSWORD)@nats-${index}.nats-peers.keyfleet.svc:6222`);
  expect(routes).toBe(`[${named.join(', ')}]`);
});

describe('the KMS plugin of docs/kubernetes-secrets.md', () => {
  const page = readFileSync(join(root, 'docs/kubernetes-secrets.md'), 'utf8');
  const [, config = ''] = /^```json\n(\{\n {2}"socket".*?)^```$/ms.exec(page) ?? [];
  const [, pod = ''] = /^```yaml\n(apiVersion: v1\nkind: Pod\n.*?)^```$/ms.exec(page) ?? [];
  const { spec } = parseManifests(pod)[0]! as unknown as { readonly spec: PodSpec };
  const [container] = spec.containers;

  test('has a configuration that it takes', () => {
    expect(PluginConfig.safeParse(JSON.parse(config)).error?.issues).toBeUndefined();
  });

  test('runs a program that exists, without privileges, on a read-only root, within limits', () => {
    expect(existsSync(join(root, container!.args![0]!.replace('/keyfleet/', '')))).toBe(true);
    expect(container!.securityContext).toMatchObject(restricted);
    expect(spec.securityContext).toMatchObject({ seccompProfile: { type: 'RuntimeDefault' } });
    expect(container!.resources).toMatchObject({ limits: { memory: expect.any(String) as string } });
  });
});

describe('the certificates', () => {
  interface Certificate {
    readonly secretName: string;
    readonly commonName: string;
    readonly dnsNames?: readonly string[];
    readonly issuerRef: { readonly name: string };
    readonly isCA?: boolean;
    readonly duration: string;
    readonly renewBefore: string;
    readonly privateKey: { readonly rotationPolicy: string };
  }
  const objects = manifests.filter(({ kind }) => kind === 'Certificate');
  const certificates = objects.map(({ spec }) => spec as unknown as Certificate);
  const days = (duration: string): number => Number.parseInt(duration, 10) / 24;

  test('get a new key each time, but their authority, which those of before and after chain to', () => {
    for (const { secretName, isCA = false, privateKey } of certificates)
      expect(privateKey.rotationPolicy, secretName).toBe(isCA ? 'Never' : 'Always');
  });

  test('from a public issuer, in the overlay prod, have only names that one signs', () => {
    const inProd = objects.map((one) => specInProd(one) as unknown as Certificate);
    const fromPublic = inProd.filter(
      ({ issuerRef }) => issuerRef.name !== 'keyfleet-ca' && issuerRef.name !== 'self-signed',
    );
    expect(fromPublic.map(({ secretName }) => secretName)).toEqual(['public-tls']);
    const asked = fromPublic.flatMap(({ commonName, dnsNames = [] }) => [commonName, ...dnsNames]);
    expect(refusedByPublicIssuers(asked)).toEqual([]);
    const others = [
      'frontend',
      'frontend.keyfleet.svc',
      'frontend.keyfleet.svc.cluster.local',
      'localhost',
      '10.0.0.1',
    ];
    expect(refusedByPublicIssuers([...asked, ...others])).toEqual(others);
  });

  test('that a frontend presents are the public one, also where no name is asked for, and that of the cluster', () => {
    const { containers, volumes } = pods.get('frontend')!;
    const secretAt = (path: string): string | undefined => {
      const mounted = containers[0]!.volumeMounts.find(({ mountPath }) => mountPath === dirname(path));
      return volumes.find(({ name }) => name === mounted?.name)?.secret?.secretName;
    };
    const { edgeTls } = loadConfig(FrontendConfig, join(root, 'deploy/config/frontend.json'));
    const presented = edgeTls!.map(({ certificateFile }) => secretAt(certificateFile));
    expect(presented).toEqual(['public-tls', 'edge-tls']);
  });

  test('are renewed a month before their end', () => {
    for (const { secretName, duration, renewBefore } of certificates.filter(({ isCA }) => isCA !== true))
      expect([days(duration), days(renewBefore)], secretName).toEqual([90, 30]);
  });
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

  test('let the load test reach the frontends, and nothing else', () => {
    expect(arrowsOf(loadTest, 'egress')).toEqual({ 'load-test -> frontend': [8900] });
    expect(arrowsOf(loadTest, 'ingress')).toEqual({});
  });

  test('let Prometheus alone reach the metrics', () => {
    expect(arrowsOf(monitoring, 'ingress')).toEqual({ 'prometheus -> metrics': [9464] });
    expect(arrowsOf(monitoring, 'egress')).toEqual({});
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

test('a Sentinel that starts anew takes over what it knew of our own Pods, and of nobody else', () => {
  const script = readFileSync(join(root, 'deploy/redis/sentinel.sh'), 'utf8');
  const taken = new RegExp(/grep -sE '([^']+)'/.exec(script)![1]!);
  const own = [
    'sentinel myid 0123',
    'sentinel monitor keyfleet redis-1.redis.keyfleet.svc 6379 2',
    'sentinel config-epoch keyfleet 3',
    'sentinel leader-epoch keyfleet 3',
    'sentinel current-epoch 3',
    'sentinel known-replica keyfleet redis-0.redis.keyfleet.svc 6379',
    'sentinel known-sentinel keyfleet redis-2.redis.keyfleet.svc 26379 4567',
  ];
  const others = [
    'sentinel monitor keyfleet 192.0.2.1 6379 2',
    'sentinel known-replica keyfleet 192.0.2.1 6379',
    'sentinel known-replica keyfleet redis-0.redis.keyfleet.svc.example.com 6379',
    'sentinel known-sentinel keyfleet redis-9.redis.keyfleet.svc 26379 89ab',
    'sentinel config-epoch keyfleet 18446744073709551615',
    'sentinel current-epoch 18446744073709551615',
    'sentinel auth-pass keyfleet x',
  ];
  expect([...own, ...others].filter((line) => taken.test(line))).toEqual(own);
});

describe('metrics', () => {
  const read = (file: string) => readFileSync(join(root, file), 'utf8');
  const [, metrics = ''] = read('docs/monitoring.md').split('\n## Metrics\n');
  const table = metrics
    .split('\n## ')[0]!
    .match(/^\| `keyfleet.*?\|/gm)!
    .join();
  const documented = new Set(table.match(/keyfleet(\.[a-z]+)+/g)!.map((name) => name.replaceAll('.', '_')));
  const askedIn = (text: string) => [
    ...new Set((text.match(/keyfleet(_[a-z]+)+/g) ?? []).map((name) => name.replace(/_(total|bucket)$/, ''))),
  ];
  const alerts = read('deploy/monitoring/alerts.yaml');

  test('that alert rules ask for are in docs/monitoring.md', () => {
    const asked = askedIn(alerts);
    expect(asked.length).toBeGreaterThan(4);
    expect(asked.filter((name) => !documented.has(name))).toEqual([]);
  });

  test('are all in the dashboard, and no others', () => {
    expect(askedIn(read('deploy/monitoring/dashboard.json')).toSorted()).toEqual([...documented].toSorted());
  });

  test('of a service that is away are missed by the name that Prometheus is told to give it', () => {
    const [monitor] = monitoring.filter(({ kind }) => kind === 'ServiceMonitor');
    const label = { sourceLabels: ['__meta_kubernetes_pod_label_app_kubernetes_io_name'], targetLabel: 'job' };
    const relabelings = [{ ...label, replacement: 'keyfleet-$1' }];
    expect(monitor?.spec).toMatchObject({ endpoints: [{ relabelings }] });
    const missed = [...alerts.matchAll(/absent\(up\{job="([^"]+)"\}/g)].map(([, job]) => job);
    expect(missed).toEqual(Object.keys(services).map((name) => `keyfleet-${name}`));
  });

  test('have an alert rule tested that fires, and does not', () => {
    const tests = read('deploy/monitoring/alerts.test.yaml');
    for (const [, name = ''] of alerts.matchAll(/alert: (\w+)/g)) {
      expect(tests, name).toMatch(new RegExp(`alertname: ${name}\n +exp_alerts:`));
      expect(tests, name).toMatch(new RegExp(`alertname: ${name} }`));
    }
  });
});
