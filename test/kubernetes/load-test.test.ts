import { startTestCluster, type TestCluster } from '@keyfleet/test-support/cluster';
import { manifestsIn, podSpecs } from '@keyfleet/test-support/manifests';
import { runRecipe } from '@keyfleet/test-support/recipe';
import { mkdirSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Results } from '../../bench/measure/results.ts';
import { summarize } from '../../bench/measure/summary.ts';
import { ApiServer } from './support/api-server.ts';
import { commandsWith } from './support/documented-commands.ts';
import { buildImageRoot, type ImageRoot } from './support/image-root.ts';
import { runInImage } from './support/in-image.ts';
import { issuerOf, newRole, tokenOf, trust } from './support/workload-identity.ts';

// The Job of deploy/k8s/load-test, from its image, with a token that a real kube-apiserver issued to its account.

const SERVICE = 'https://frontend.keyfleet.svc';
const account = { namespace: 'keyfleet', name: 'load-test' };
const stranger = { namespace: 'keyfleet', name: 'stranger' };
const [container] = podSpecs(manifestsIn('load-test')).get('load-test')!.containers;

let image: ImageRoot;
let keyfleet: TestCluster;
let kubernetes: ApiServer;
let roleArn: string;
let directory: string;
const resources = new AsyncDisposableStack();
beforeAll(async () => {
  directory = resources.use(await mkdtempDisposable('/var/tmp/keyfleet-load-test-')).path;
  image = await buildImageRoot(directory, 'bench');
  kubernetes = await ApiServer.start(resources);
  expect((await kubernetes.post('/api/v1/namespaces', { metadata: { name: 'keyfleet' } })).status).toBe(201);
  for (const { namespace, name } of [account, stranger]) {
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts`;
    expect((await kubernetes.post(path, { metadata: { name } })).status).toBe(201);
  }
  keyfleet = resources.use(await startTestCluster({ tls: true }));
  const jwksFile = kubernetes.in('jwks.json');
  writeFileSync(jwksFile, (await kubernetes.get('/openid/v1/jwks')).text);
  await trust(keyfleet, kubernetes, { jwksFile });
  roleArn = await newRole(keyfleet, 'load-test', await documentedPolicies());
});
afterAll(() => resources.disposeAsync());

/** As docs/kubernetes.md writes them, for the account of this cluster. */
async function documentedPolicies() {
  const written = commandsWith('trust.json');
  const read = async (name: string): Promise<string> => {
    const text = await runRecipe(`aws() { :; }\n${written}cat ${name}.json`, { ISSUER: issuerOf(kubernetes) });
    return text.replace('111122223333', '000000000000');
  };
  return { trust: await read('trust'), use: await read('use') };
}

/** The Job's container, shorter, at this cluster's address. */
async function runJob(token: string, options: readonly string[] = []) {
  const here = (text: string): string => text.replace(SERVICE, keyfleet.endpoint);
  const volumes = { token: 'token', 'edge-tls': 'ca.crt' } as const;
  const files = { token, 'ca.crt': keyfleet.ca! };
  const mounts = Object.entries(volumes).map(([name, file]) => {
    const source = join(directory, name);
    mkdirSync(source, { recursive: true });
    writeFileSync(join(source, file), files[file], { mode: 0o644 });
    const { mountPath: target } = container!.volumeMounts.find((mount) => mount.name === name)!;
    return { source, target, readOnly: true };
  });
  const given = container!.env!.map(({ name, value }) => [name, here(value!)]);
  const environment = { ...(Object.fromEntries(given) as Record<string, string>), AWS_ROLE_ARN: roleArn };
  return runInImage(image, { mounts, environment }, [...container!.args!.map(here), ...options]);
}

test('its command measures a cluster over TLS, with credentials for its token; the JSON is the last line of its log', async () => {
  const short = ['--seconds', '1', '--warmup', '0.2', '--rounds', '1'];
  const { exitCode, stdout, stderr } = await runJob(await tokenOf(kubernetes, account), short);
  expect([exitCode, stderr]).toEqual([0, '']);
  const lines = stdout.split('\n');
  const { points } = JSON.parse(lines.at(-1)!) as Results;
  expect(new Set(points.map(({ scenario }) => scenario))).toEqual(new Set(['encrypt', 'decrypt', 'generate-data-key']));
  // Three closed loops and one open, for each.
  expect(points).toHaveLength(12);
  expect(points.map((point) => summarize(point).failures)).toEqual(points.map(() => ({})));
  expect(lines.slice(0, -1).join('\n')).toContain('encrypt');
});

test('the token of another service account gets no credentials, in one line', async () => {
  const { exitCode, stderr } = await runJob(await tokenOf(kubernetes, stranger));
  expect([exitCode, stderr]).toEqual([1, expect.stringMatching(/^bench: frontend: no AWS credentials \(.*\)[^\n]*$/)]);
});

test('what is not in the image is said in one line', async () => {
  const { exitCode, stderr } = await runInImage(image, { mounts: [] }, ['--target', 'keyfleet']);
  const line = 'bench: keyfleet: only a checkout has what starts a server. Name one that runs, by its URL.';
  expect([exitCode, stderr]).toEqual([1, line]);
});
