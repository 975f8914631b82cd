import { plaintextPeers } from '@keyfleet/shared/grpc/peers';
import { DomainManagerClient } from '@keyfleet/cli/domain-manager-client';
import { openHostPool } from '@keyfleet/cli/host-pool';
import { loadTrustAnchor } from '@keyfleet/cli/public-files';
import { openRecords, type Records } from '@keyfleet/cli/records';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
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
  return openRecords(redis, resources.use(await openHostPool(host, { client, anchor, credentials })), {
    client,
    anchor,
  });
}
