import type { WorkerPool } from '@keyfleet/frontend/hsm/pool';
import { CliError } from './cli-error.ts';
import type { OpenDomain } from './options.ts';
import { loadSigningKey } from './signing-keys.ts';
import { openPool } from './worker-pool.ts';

/** For commands that workers serve only to a frontend. */
export const hostOptions = {
  host: { type: 'string', description: 'The operator id of a frontend.', valueHint: 'ID', required: true },
  'host-key': { type: 'string', description: 'The key file of that frontend.', valueHint: 'FILE', required: true },
} as const;

export interface HostArgs {
  readonly host: string;
  readonly 'host-key': string;
}

/** The domain's workers, in this command's own session as that frontend. Throws CliError if none accepts it. */
export async function openHostPool(
  args: HostArgs,
  { client, anchor, credentials }: OpenDomain,
  maxInFlight = 1,
): Promise<WorkerPool> {
  const { host: operatorId, 'host-key': file } = args;
  const notAsked = () => Promise.reject(new CliError(`${file} has a passphrase: it is not a frontend's key.`));
  const { key: privateKey } = await loadSigningKey(file, notAsked);
  const { workers = [] } = await client.status();
  return openPool({
    domain: await client.getDomain(anchor),
    workers: workers.map(({ address = '' }) => address),
    credentials,
    host: { operatorId, privateKey },
    maxInFlight,
  });
}
