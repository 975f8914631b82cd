import { plaintextPeers } from '@keyfleet/shared/grpc/peers';
import { DomainManagerClient } from '@keyfleet/cli/domain-manager-client';
import { openHostHsm } from '@keyfleet/cli/host-pool';
import { loadTrustAnchor } from '@keyfleet/cli/public-files';
import { openRecords, type Records } from '@keyfleet/cli/records';
import { RedisStore } from '@keyfleet/frontend/store/redis-store';
import { connectRedis, type RedisClient, RedisConfig, untilReady } from '@keyfleet/shared/redis/connect';
import { identities } from '../../tools/home.ts';
import type { TestCluster } from './cluster.ts';

/** The cluster's records, with the record key that its frontend has. Closed with `resources`. */
export async function openClusterRecords(
  { home, ports }: TestCluster,
  redis: RedisClient,
  resources: AsyncDisposableStack,
): Promise<Records> {
  const { credentials } = plaintextPeers;
  const client = resources.use(new DomainManagerClient(`127.0.0.1:${ports.domainManager}`, credentials));
  const host = { host: identities.frontend, 'host-key': home.keyFile(identities.frontend) };
  const anchor = loadTrustAnchor(home.trustAnchorFile);
  return openRecords(redis, resources.use(await openHostHsm(host, { client, anchor, credentials }, redis)), {
    client,
    anchor,
  });
}

/** The keys of the cluster, as its frontend reads and writes them. Closed with `resources`. */
export async function openClusterKeys(
  cluster: TestCluster,
  resources: AsyncDisposableStack,
): Promise<{ redis: RedisClient; store: RedisStore }> {
  const config = {
    url: `redis://127.0.0.1:${cluster.ports.redis}`,
    passwordFile: cluster.home.secretFile('redis-password'),
  };
  const redis = resources.use(connectRedis(RedisConfig.parse(config), { onProblem: () => {} }));
  await untilReady(redis, 20_000);
  const records = await openClusterRecords(cluster, redis, resources);
  return { redis, store: new RedisStore({ ...records, clock: { now: Date.now } }) };
}
