import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import type { AwsCredentials } from '../../tools/aws-files.ts';
import { ManagedProcess } from '../../tools/managed-process.ts';
import { frontendReady, until } from '../../tools/readiness.ts';
import { newPort } from '../../tools/ports.ts';
import type { TestCluster } from './cluster.ts';

/** A second frontend of the cluster, which made the first administrator of another account. */
export interface OtherAccount {
  readonly accountId: string;
  readonly endpoint: string;
  readonly credentials: AwsCredentials;
  /**
   * An issuer whose tokens this frontend takes for `sts.amazonaws.com`, and the PKCS #8 key (P-256) that signs them.
   */
  readonly oidc: { readonly issuer: string; readonly signingKey: string };
}

const ACCOUNT_ID = '111122223333';

/** Stops with `resources`. */
export async function startOtherAccount(cluster: TestCluster, resources: AsyncDisposableStack): Promise<OtherAccount> {
  const { home } = cluster;
  const credentialsFile = home.in('aws', 'other-account-credentials');
  const [http, grpc] = [await newPort(), await newPort()];
  const oidc = newIssuer(home.in('jwks.json'));
  const configFile = home.in('config', 'other-frontend.json');
  const config = JSON.parse(readFileSync(home.in('config', 'frontend.json'), 'utf8')) as object;
  const changes = {
    http: `127.0.0.1:${http}`,
    grpc: `127.0.0.1:${grpc}`,
    dataDir: home.in('other-frontend'),
    oidcIssuers: [{ issuer: oidc.issuer, audiences: ['sts.amazonaws.com'], jwksFile: home.in('jwks.json') }],
    firstAdministrator: { accountId: ACCOUNT_ID, userName: 'other', credentialsFile },
  };
  writeFileSync(configFile, JSON.stringify({ ...config, ...changes }), { mode: 0o600 });
  const frontend = new ManagedProcess(
    {
      name: 'other-frontend',
      command: process.execPath,
      args: ['services/frontend/src/main.ts', '--config', configFile],
      env: {},
      logFile: home.in('log', 'other-frontend.log'),
      pidFile: home.in('run', 'other-frontend.pid'),
    },
    () => undefined,
  );
  resources.defer(() => frontend.stop());
  frontend.start();
  const endpoint = `http://127.0.0.1:${http}`;
  const ready = await until(
    () => frontendReady(endpoint),
    30_000,
    () => frontend.pid === undefined,
  );
  if (!ready) throw new Error(`the second frontend does not start: ${readFileSync(frontend.spec.logFile, 'utf8')}`);
  return { accountId: ACCOUNT_ID, endpoint, credentials: await readWhenWritten(credentialsFile), oidc };
}

function newIssuer(jwksFile: string): OtherAccount['oidc'] {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  writeFileSync(
    jwksFile,
    JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'one', alg: 'ES256' }] }),
  );
  return {
    issuer: 'https://kubernetes.example.com/cluster',
    signingKey: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
  };
}

async function readWhenWritten(file: string): Promise<AwsCredentials> {
  let found: AwsCredentials | undefined;
  await until(
    () => Promise.resolve((found = credentialsIn(file)) !== undefined),
    30_000,
    () => false,
  );
  if (found === undefined) throw new Error('the second account got no administrator');
  return found;
}

function credentialsIn(file: string): AwsCredentials | undefined {
  try {
    const text = readFileSync(file, 'utf8');
    const [, accessKeyId] = /^aws_access_key_id *= *(\S+)$/m.exec(text) ?? [];
    const [, secretAccessKey] = /^aws_secret_access_key *= *(\S+)$/m.exec(text) ?? [];
    return accessKeyId && secretAccessKey ? { accessKeyId, secretAccessKey } : undefined;
  } catch {
    return undefined;
  }
}
