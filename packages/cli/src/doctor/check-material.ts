import { CliError } from '../cli-error.ts';
import type { HostArgs } from '../host-pool.ts';
import { loadSigningKey } from '../signing-keys.ts';
import type { Patient } from './checks.ts';
import { openAllTokens } from './open-tokens.ts';

export interface HostOptions {
  readonly host?: string | undefined;
  readonly 'host-key'?: string | undefined;
}

/** Throws CliError if the options do not say whose session to use with the workers. */
export function hostOf({ host, 'host-key': file }: HostOptions): HostArgs {
  if (host !== undefined && file !== undefined) return { host, 'host-key': file };
  throw new CliError('workers open tokens only for a frontend: give its --host and --host-key.');
}

/** Whether everything stored opens. Throws a CliError that names what does not. */
export async function checkMaterial(
  { client, anchor, credentials, openRedis, progress }: Patient,
  options: HostOptions,
): Promise<string> {
  const { host: operatorId, 'host-key': file } = hostOf(options);
  const notAsked = () => Promise.reject(new CliError(`${file} has a passphrase: it is not a frontend's key.`));
  const { key: privateKey } = await loadSigningKey(file, notAsked);
  await using redis = await openRedis();
  const { workers = [] } = await client.status();
  const { tokens, failed } = await openAllTokens({
    redis,
    domain: await client.getDomain(anchor),
    workers: workers.map(({ address = '' }) => address),
    credentials,
    host: { operatorId, privateKey },
    progress,
  });
  if (failed.length > 0) {
    throw new CliError(`${failed.length} values do not open: ${failed.join(', ')}. Restore them from a backup.`);
  }
  return `all ${tokens} tokens open`;
}
