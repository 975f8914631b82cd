import { KMS } from '@aws-sdk/client-kms';
import { startTestCluster, type TestCluster } from '@keyfleet/test-support/cluster';
import { execa } from 'execa';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ApiServer } from './support/api-server.ts';
import { issuerOf, newRole, tokenOf, trust } from './support/workload-identity.ts';

// Tokens that a real kube-apiserver issues, and an AWS SDK that is told of them by the two variables of a Pod.

const root = join(import.meta.dirname, '../..');

const app = { namespace: 'default', name: 'app' };
const stranger = { namespace: 'default', name: 'stranger' };

let keyfleet: TestCluster;
let kubernetes: ApiServer;
let KeyId: string;
let roleArn: string;
const resources = new AsyncDisposableStack();
beforeAll(async () => {
  kubernetes = await ApiServer.start(resources);
  await allowDiscovery();
  for (const { name } of [app, stranger]) {
    const path = '/api/v1/namespaces/default/serviceaccounts';
    expect((await kubernetes.post(path, { metadata: { name } })).status).toBe(201);
  }
  keyfleet = resources.use(await startTestCluster());
  await trust(keyfleet, kubernetes, { jwksUrl: `${kubernetes.url}/openid/v1/jwks`, caFile: kubernetes.caFile });
  const settings = { endpoint: keyfleet.endpoint, region: 'us-east-1', credentials: keyfleet.credentials };
  const kms = new KMS(settings);
  KeyId = (await kms.createKey({})).KeyMetadata!.Arn!;
  kms.destroy();
  roleArn = await newRole(keyfleet, 'app', policies(issuerOf(kubernetes)));
});
afterAll(() => resources.disposeAsync());

/** As the recipe says: whoever asks may read the issuer's keys. */
async function allowDiscovery(): Promise<void> {
  const { status } = await kubernetes.post('/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
    metadata: { name: 'oidc-discovery' },
    roleRef: {
      apiGroup: 'rbac.authorization.k8s.io',
      kind: 'ClusterRole',
      name: 'system:service-account-issuer-discovery',
    },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: 'system:unauthenticated' }],
  });
  expect(status).toBe(201);
}

function policies(issuer: string) {
  const documentOf = (statement: object): string =>
    JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', ...statement }] });
  return {
    trust: documentOf({
      Action: 'sts:AssumeRoleWithWebIdentity',
      Principal: { Federated: `arn:aws:iam::000000000000:oidc-provider/${issuer}` },
      Condition: {
        StringEquals: {
          [`${issuer}:aud`]: 'sts.amazonaws.com',
          [`${issuer}:sub`]: 'system:serviceaccount:default:app',
        },
      },
    }),
    use: documentOf({ Action: ['kms:Encrypt', 'kms:Decrypt'], Resource: KeyId }),
  };
}

/** What a Pod with the token does, with nothing of Keyfleet's but two endpoints. */
const program = `
import { KMS } from '@aws-sdk/client-kms';
const kms = new KMS({});
try {
  const { CiphertextBlob } = await kms.encrypt({ KeyId: process.argv[1], Plaintext: Buffer.from('from a pod') });
  const { Plaintext } = await kms.decrypt({ CiphertextBlob });
  console.log(Buffer.from(Plaintext).toString());
} catch (error) {
  console.log(error.name);
}
`;

async function runPod(token: string): Promise<string> {
  const tokenFile = kubernetes.in('token');
  writeFileSync(tokenFile, token);
  const env = {
    AWS_ROLE_ARN: roleArn,
    AWS_WEB_IDENTITY_TOKEN_FILE: tokenFile,
    AWS_REGION: 'us-east-1',
    AWS_ENDPOINT_URL: keyfleet.endpoint,
    AWS_CONFIG_FILE: '/dev/null',
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    AWS_MAX_ATTEMPTS: '1',
  };
  const args = ['--input-type=module', '--eval', program, KeyId];
  const { stdout, stderr } = await execa(process.execPath, args, { cwd: root, env, extendEnv: false, reject: false });
  return stdout === '' ? stderr : stdout;
}

test('an AWS SDK as it is encrypts and decrypts with the token of its Pod; the issuer’s keys come from its URL', async () => {
  expect(await runPod(await tokenOf(kubernetes, app))).toBe('from a pod');
});

test('another service account, and a token for somebody else, get no credentials', async () => {
  expect(await runPod(await tokenOf(kubernetes, stranger))).toContain('AccessDenied');
  expect(await runPod(await tokenOf(kubernetes, app, 'vault'))).toContain('InvalidIdentityToken');
});

test('the keys of the issuer may come from a file', async () => {
  const { text } = await kubernetes.get('/openid/v1/jwks');
  const jwksFile = kubernetes.in('jwks.json');
  writeFileSync(jwksFile, text);
  await trust(keyfleet, kubernetes, { jwksFile });
  expect(await runPod(await tokenOf(kubernetes, app))).toBe('from a pod');
});
