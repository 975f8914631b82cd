import { X509Certificate } from 'node:crypto';
import { ConfigError, readPublicFile } from '@keyfleet/shared/config';
import { Cluster } from './boundary/pkcs11/cluster.ts';
import type { WorkerConfig } from './config.ts';

type ClusterConfig = WorkerConfig['clusters'][number];

/**
 * The CloudHSM clusters of a worker's configuration, by id. Loads no module before its first use. Throws ConfigError.
 */
export function newClusters(configured: readonly ClusterConfig[]): ReadonlyMap<string, Cluster> {
  const clusters = new Map<string, Cluster>();
  for (const [i, cluster] of configured.entries()) {
    if (clusters.has(cluster.id)) throw new ConfigError(`clusters.${i}.id: ${cluster.id} is listed twice`);
    clusters.set(cluster.id, newCluster(cluster, i));
  }
  return clusters;
}

/** So that a worker that is no member of the domain any more has no session in anybody's token. */
export function disconnectAll(clusters: ReadonlyMap<string, Cluster>): void {
  for (const cluster of clusters.values()) cluster.disconnect();
}

function newCluster(config: ClusterConfig, i: number): Cluster {
  const { trustAnchorFile, timeout: timeoutMs, ...rest } = config;
  const field = `clusters.${i}.trustAnchorFile`;
  const text = readPublicFile(trustAnchorFile, field);
  try {
    return new Cluster({ ...rest, timeoutMs, trustAnchor: new X509Certificate(text).raw });
  } catch (cause) {
    throw new ConfigError(`${field}: ${trustAnchorFile} is not a certificate. Give one in PEM.`, { cause });
  }
}
