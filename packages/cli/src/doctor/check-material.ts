import { CliError } from '../cli-error.ts';
import { loadSigningKey } from '../signing-keys.ts';
import type { Patient } from './checks.ts';
import { openAllTokens } from './open-tokens.ts';

export interface HostOptions {
  readonly host?: string | undefined;
  readonly 'host-key'?: string | undefined;
}

/** Whether everything that is stored opens. Throws CliError that names what does not. */
export async function checkMaterial(
  { client, anchor, openRedis, progress }: Patient,
  { host: operatorId, 'host-key': file }: HostOptions,
): Promise<string> {
  if (operatorId === undefined || file === undefined) {
    throw new CliError('workers open tokens for a service host only: give --host and --host-key of a frontend.');
  }
  const notAsked = () => Promise.reject(new CliError(`${file} has a passphrase: it is not the key of a frontend.`));
  const { key: privateKey } = await loadSigningKey(file, notAsked);
  await using redis = await openRedis();
  const { workers = [] } = await client.status();
  const { tokens, failed } = await openAllTokens({
    redis,
    domain: await client.getDomain(anchor),
    workers: workers.map(({ address = '' }) => address),
    host: { operatorId, privateKey },
    progress,
  });
  if (failed.length > 0) {
    throw new CliError(`${failed.length} values do not open: ${failed.join(', ')}. Restore them from a backup.`);
  }
  return `all ${tokens} tokens open`;
}
