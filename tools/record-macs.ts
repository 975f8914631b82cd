import { type Authenticated, authenticateRecords } from '@keyfleet/cli/authenticate-records';
import { DomainManagerClient } from '@keyfleet/cli/domain-manager-client';
import { openHostPool } from '@keyfleet/cli/host-pool';
import { Progress } from '@keyfleet/cli/progress';
import { openRecords } from '@keyfleet/cli/records';
import { openRedis } from '@keyfleet/cli/redis-option';
import { loadTrustAnchor } from '@keyfleet/cli/public-files';
import { type Home, identities } from './home.ts';
import type { Ports } from './ports.ts';
import { StartError } from './start-error.ts';

/** Gives a MAC to every record that has none. Throws StartError when one is not as any release wrote it. */
export async function giveRecordsMacs(home: Home, ports: Ports): Promise<Authenticated> {
  using client = new DomainManagerClient(`127.0.0.1:${ports.domainManager}`);
  const domain = { client, anchor: loadTrustAnchor(home.trustAnchorFile) };
  const host = { host: identities.frontend, 'host-key': home.keyFile(identities.frontend) };
  const at = { redis: `redis://127.0.0.1:${ports.redis}`, 'redis-password-file': home.secretFile('redis-password') };
  await using redis = await openRedis(at);
  await using pool = await openHostPool(host, domain);
  const done = await authenticateRecords(redis, await openRecords(redis, pool), new Progress({ note: () => {} }));
  const [first] = done.refused;
  if (first !== undefined) throw new StartError(first);
  return done;
}
