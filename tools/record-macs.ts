import { type Authenticated, authenticateRecords } from '@keyfleet/cli/authenticate-records';
import { DomainManagerClient } from '@keyfleet/cli/domain-manager-client';
import { openHostHsm } from '@keyfleet/cli/host-pool';
import { Progress } from '@keyfleet/cli/progress';
import { openRecords } from '@keyfleet/cli/records';
import { openRedis } from '@keyfleet/cli/redis-option';
import { loadTrustAnchor } from '@keyfleet/cli/public-files';
import { type Home, identities } from './home.ts';
import { peersOf } from './home-tls.ts';
import type { Ports } from './ports.ts';
import { peerAddress, redisConfigOf } from './service-configs.ts';
import { StartError } from './start-error.ts';

/** Gives a MAC to every record that has none. Throws StartError when one is not as any release wrote it. */
export async function giveRecordsMacs(home: Home, ports: Ports): Promise<Authenticated> {
  const { credentials } = peersOf(home);
  using client = new DomainManagerClient(peerAddress(home, ports.domainManager), credentials);
  const domain = { client, anchor: loadTrustAnchor(home.trustAnchorFile), credentials };
  const host = { host: identities.frontend, 'host-key': home.keyFile(identities.frontend) };
  const { url, passwordFile, tls } = redisConfigOf(home, ports, 'operator');
  const at = {
    redis: url,
    'redis-password-file': passwordFile,
    'tls-ca': tls?.caFile,
    'tls-cert': tls?.certificateFile,
    'tls-key': tls?.keyFile,
  };
  await using redis = await openRedis(at);
  await using hsm = await openHostHsm(host, domain, redis);
  const done = await authenticateRecords(
    redis,
    await openRecords(redis, hsm, domain),
    new Progress({ note: () => {} }),
  );
  const [first] = done.refused;
  if (first !== undefined) throw new StartError(first);
  return done;
}
