import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { IAM } from '@aws-sdk/client-iam';
import { KMS } from '@aws-sdk/client-kms';
import { newPort } from '../../tools/ports.ts';
import { TestAuthority } from './certificates.ts';
import type { TestCluster } from './cluster.ts';
import { SoftHsm } from './soft-hsm.ts';
import { wrapped } from './wrapped.ts';

/** Of the cluster that has the stores. */
export const accountId = '111122223333';
const region = 'us-east-1';
const CloudHsmClusterId = 'cluster-abcdefghijk';

/**
 * The PIN of a token of SoftHSM2 and the secret of an external key store's proxy, which is the frontend itself: it has
 * the secret from both sides.
 */
export interface StoreSecrets {
  readonly pin: string;
  readonly proxySecret: string;
  readonly proxyAccessKeyId: string;
  readonly tokenLabel: string;
  readonly trustAnchor: string;
  /** What the configurations of a worker and of a frontend have in addition. */
  readonly worker: object;
  readonly frontend: object;
}

export async function makeStoreSecrets(directory: string): Promise<StoreSecrets> {
  const [pin, proxySecret] = [randomBytes(16).toString('hex'), randomBytes(32).toString('base64')];
  const { environment, label } = await SoftHsm.make(directory, { label: 'searched-for-token', pin });
  const authority = await TestAuthority.make(directory, 'roots');
  const { caFile } = authority;
  const [accessKeyId, secretFile] = ['A2B3C4D5E6F7A2B3C4D5', join(directory, 'proxy-secret')];
  writeFileSync(secretFile, proxySecret, { mode: 0o600 });
  const listen = `127.0.0.1:${await newPort()}`;
  const path = { prefix: '/a', accountId, region, userName: 'xks', credentials: [{ accessKeyId, secretFile }] };
  const token = { module: SoftHsm.module, token: { label }, environment, trustAnchorFile: caFile, timeout: '30s' };
  return {
    pin,
    proxySecret,
    proxyAccessKeyId: accessKeyId,
    tokenLabel: label,
    trustAnchor: readFileSync(caFile, 'utf8'),
    worker: { clusters: [{ id: CloudHsmClusterId, accountId, region, ...token }] },
    frontend: {
      externalKeyStores: { proxies: [{ host: 'keyfleet.test', address: listen, caFile }], timeout: '5s' },
      xksProxy: { listen, ...(await authority.issue('keyfleet.test')), paths: [path] },
    },
  };
}

function kmsOf({ endpoint, credentials }: TestCluster): KMS {
  return new KMS({ endpoint, credentials, region, maxAttempts: 1 });
}

export interface StoreIds {
  readonly token: string;
  readonly proxy: string;
}

/** Both stores. The token's is connected. */
export async function createStores(cluster: TestCluster, secrets: StoreSecrets): Promise<StoreIds> {
  const { endpoint, credentials } = cluster;
  await new IAM({ endpoint, credentials, region }).createUser({ UserName: 'xks' });
  const kms = kmsOf(cluster);
  const token = await kms.createCustomKeyStore({
    CustomKeyStoreName: 'token',
    CloudHsmClusterId,
    KeyStorePassword: secrets.pin,
    TrustAnchorCertificate: secrets.trustAnchor,
  });
  const proxy = await kms.createCustomKeyStore({
    CustomKeyStoreName: 'proxy',
    CustomKeyStoreType: 'EXTERNAL_KEY_STORE',
    XksProxyConnectivity: 'PUBLIC_ENDPOINT',
    XksProxyUriEndpoint: 'https://keyfleet.test',
    XksProxyUriPath: '/a/kms/xks/v1',
    XksProxyAuthenticationCredential: {
      AccessKeyId: secrets.proxyAccessKeyId,
      RawSecretAccessKey: secrets.proxySecret,
    },
  });
  const ids = { token: token.CustomKeyStoreId!, proxy: proxy.CustomKeyStoreId! };
  await kms.connectCustomKeyStore({ CustomKeyStoreId: ids.token });
  return ids;
}

/**
 * Uses a key in the token, to which a worker logs in unless it has, and has the proxy checked with its secret. The
 * token's store stays connected: a disconnected one has no module process. The proxy's can be connected again.
 */
export async function useStores(cluster: TestCluster, { token, proxy }: StoreIds): Promise<void> {
  const kms = kmsOf(cluster);
  await kms.connectCustomKeyStore({ CustomKeyStoreId: proxy });
  const { CustomKeyStores } = await kms.describeCustomKeyStores({});
  const states = CustomKeyStores!.map(
    ({ ConnectionState, ConnectionErrorCode }) => ConnectionErrorCode ?? ConnectionState,
  );
  if (states.some((state) => state !== 'CONNECTED')) throw new Error(`the stores are ${states.join(', ')}`);
  const { KeyMetadata } = await kms.createKey({ Origin: 'AWS_CLOUDHSM', CustomKeyStoreId: token });
  await kms.encrypt({ KeyId: KeyMetadata!.KeyId!, Plaintext: Buffer.from('plaintext') });
  await kms.disconnectCustomKeyStore({ CustomKeyStoreId: proxy });
}

/** Material that is imported, and not used. */
export async function importMaterial(cluster: TestCluster): Promise<Buffer> {
  const kms = kmsOf(cluster);
  const KeyId = (await kms.createKey({ Origin: 'EXTERNAL' })).KeyMetadata!.KeyId!;
  const material = randomBytes(32);
  const ExpirationModel = 'KEY_MATERIAL_DOES_NOT_EXPIRE';
  await kms.importKeyMaterial({ KeyId, ExpirationModel, ...(await wrapped(kms, KeyId, material)) });
  return material;
}
