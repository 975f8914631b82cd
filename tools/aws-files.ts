import { readFileSync } from 'node:fs';
import type { Home } from './home.ts';
import { StartError } from './start-error.ts';

export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** The administrator's credentials, from the file that the AWS CLI and every SDK read too. Throws StartError. */
export function readCredentials(home: Home): AwsCredentials {
  const path = home.in('aws', 'credentials');
  const text = readFileSync(path, 'utf8');
  const field = (name: string) => new RegExp(`^${name} *= *(\\S+)$`, 'm').exec(text)?.[1];
  const accessKeyId = field('aws_access_key_id');
  const secretAccessKey = field('aws_secret_access_key');
  if (accessKeyId !== undefined && secretAccessKey !== undefined) return { accessKeyId, secretAccessKey };
  throw new StartError(
    `${path} is damaged: it has no aws_access_key_id and aws_secret_access_key. Restore it from a backup.`,
  );
}
