import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { TestCluster } from './cluster.ts';

/** What AWS's own tools read of a cluster. */
export function awsEnvironmentOf({ endpoint, home }: TestCluster): Record<string, string> {
  return {
    AWS_ENDPOINT_URL: endpoint,
    AWS_CONFIG_FILE: home.in('aws', 'config'),
    AWS_SHARED_CREDENTIALS_FILE: home.in('aws', 'credentials'),
    AWS_DEFAULT_REGION: 'us-east-1',
    AWS_PAGER: '',
  };
}

/** The shell commands of a page of docs/, block by block, as its reader copies them. */
export function shellBlocksOf(page: string): readonly string[] {
  const text = readFileSync(join(import.meta.dirname, '../../docs', page), 'utf8');
  return [...text.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, commands]) => commands!);
}

/**
 * Runs commands in an empty directory, with `env` beside this process's environment; `prepare` puts files there. What
 * they print. Rejects when one fails.
 */
export async function runRecipe(
  commands: string,
  env: Readonly<Record<string, string>>,
  prepare: (directory: string) => void = () => {},
): Promise<string> {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'keyfleet-recipe-'));
  prepare(directory.path);
  const options = { cwd: directory.path, env: { ...process.env, ...env } };
  return (await promisify(execFile)('bash', ['-ec', commands], options)).stdout;
}
