import { credentials } from '@grpc/grpc-js';
import { KeyManagementService } from '@keyfleet/proto/kubernetes';
import { unary } from '@keyfleet/proto/unary';
import { ServerCertificates } from '@keyfleet/shared/tls/accept-tls';
import { TlsFiles } from '@keyfleet/shared/tls/tls-files';
import { TestAuthority } from '@keyfleet/test-support/certificates';
import { alice, startEdge } from '@keyfleet/test-support/edge-fixture';
import { FakeKms, KEY_ARN } from '@keyfleet/test-support/fakes/fake-kms';
import { KmsPluginProcess } from '@keyfleet/test-support/kms-plugin';
import { once } from 'node:events';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

// The KMS plugin as a process, of which a frontend's edge and an STS ask that it trust their authority.

/** Files are looked at every two seconds, and grpc-js waits before it connects again. */
const READ = { timeout: 30_000, interval: 200 };

let folder: string;
let ours: TestAuthority;
let others: TestAuthority;
let address: string;
let sts: Server;
const resources = new AsyncDisposableStack();
beforeAll(async () => {
  folder = resources.use(await mkdtempDisposable(join(tmpdir(), 'keyfleet-'))).path;
  [ours, others] = [await TestAuthority.make(folder, 'ours'), await TestAuthority.make(folder, 'others')];
  const certificate = await ours.issue('localhost');
  const files = resources.use(new TlsFiles(certificate, { field: 'edgeTls', onProblem: () => undefined }));
  const kms = new FakeKms();
  const edge = await startEdge({
    certificates: new ServerCertificates([files]),
    invoke: ({ operation, input }) => kms[operation as 'Encrypt' | 'Decrypt'](input as never),
  });
  resources.use(edge);
  address = `localhost:${edge.grpcAddress.split(':')[1]}`;
  sts = await startSts(readFileSync(certificate.keyFile), readFileSync(certificate.certificateFile));
});
afterAll(() => resources.disposeAsync());

/** Gives everybody a session. */
async function startSts(key: Buffer, cert: Buffer): Promise<Server> {
  const expiration = new Date(Date.now() + 3_600_000).toISOString();
  const answer =
    `<Credentials><AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>s</SecretAccessKey>` +
    `<SessionToken>t</SessionToken><Expiration>${expiration}</Expiration></Credentials>`;
  const server = createServer({ key, cert }, (request, response) => {
    request.resume().once('end', () => response.end(answer));
  }).listen(0, 'localhost');
  await once(server, 'listening');
  resources.defer(() => {
    server.close();
    server.closeAllConnections();
  });
  return server;
}

function written(name: string, text: string): string {
  writeFileSync(join(folder, name), text, { mode: 0o600 });
  return join(folder, name);
}

const keys = `aws_access_key_id = ${alice.accessKeyId}\naws_secret_access_key = ${alice.secretAccessKey}\n`;
test.each([
  ['a frontend', () => ({ credentialsFile: written('credentials', `[default]\n${keys}`) }), 'certificate', /^ok$/],
  [
    'a frontend, and STS',
    () => ({
      webIdentity: {
        roleArn: 'arn:aws:iam::000000000000:role/r',
        tokenFile: written('token', 'token'),
        stsUrl: `https://localhost:${(sts.address() as AddressInfo).port}`,
      },
    }),
    'STS at https://localhost',
    // It believes this STS, and the frontend, to which the session means nothing.
    /^Keyfleet answers UnrecognizedClientException/,
  ],
] as const)(
  '%s whose authority the plugin is given while it runs is trusted from then on',
  async (_whom, proofOf, problem, believed) => {
    const [caFile, socket] = [join(folder, 'trusted.pem'), join(folder, 'kms.sock')];
    copyFileSync(others.caFile, caFile);
    const config = { socket, keyId: KEY_ARN, region: 'us-east-1', grpc: address, tls: { caFile }, ...proofOf() };
    await using _plugin = new KmsPluginProcess(folder, config);
    const client = new KeyManagementService(`unix:${socket}`, credentials.createInsecure(), {
      'grpc.max_reconnect_backoff_ms': 100,
    });
    const { Status } = KeyManagementService.service;
    const healthz = () => unary(client, Status, {}, 5_000).then((answer) => answer.healthz, String);
    await expect.poll(healthz, READ).toContain(problem);
    writeFileSync(caFile, readFileSync(others.caFile, 'utf8') + readFileSync(ours.caFile, 'utf8'));
    await expect.poll(healthz, READ).toMatch(believed);
    client.close();
  },
);
