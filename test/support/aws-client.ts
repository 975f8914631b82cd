import { KMSClient, type KMSClientConfig } from '@aws-sdk/client-kms';
import { Agent } from 'node:https';
import type { TestCluster } from './cluster.ts';

/**
 * The AWS SDK's client as the cluster's administrator. One attempt unless told otherwise: a retry would hide what a
 * test looks for.
 */
export function kmsClient(
  cluster: Pick<TestCluster, 'endpoint' | 'credentials'> & Partial<Pick<TestCluster, 'ca'>>,
  overrides: KMSClientConfig = {},
): KMSClient {
  const { endpoint, credentials, ca } = cluster;
  const tls = ca === undefined ? {} : { requestHandler: { httpsAgent: new Agent({ ca }) } };
  return new KMSClient({ endpoint, credentials, region: 'us-east-1', maxAttempts: 1, ...tls, ...overrides });
}
