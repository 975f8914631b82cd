import { CliError } from '../cli-error.ts';
import { type HostArgs, openHostPool } from '../host-pool.ts';
import type { Patient } from './checks.ts';
import { loadStoredDomain } from '../stored-domain.ts';
import { MAX_IN_FLIGHT, openAllTokens } from './open-tokens.ts';

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
export async function checkMaterial(patient: Patient, options: HostOptions): Promise<string> {
  const host = hostOf(options);
  await using redis = await patient.openRedis();
  await using hsm = await openHostPool(host, patient, redis, MAX_IN_FLIGHT);
  const domain = await loadStoredDomain(redis, patient);
  const { tokens, failed } = await openAllTokens({ redis, hsm, domain, progress: patient.progress });
  if (failed.length > 0) {
    throw new CliError(
      `${failed.length} values do not open: ${failed.join(', ')}. If it is not one hsm-worker alone that says so, restore them from a backup.`,
    );
  }
  return `all ${tokens} tokens open`;
}
