import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Credentials } from '@keyfleet/client';

/** The administrator's credentials, which `npm start` writes to `<home>/aws/credentials`. */
export function homeCredentials(home: string): Credentials {
  const file = readFileSync(join(home, 'aws', 'credentials'), 'utf8');
  const field = (name: string) => new RegExp(`^${name} *= *(\\S+)$`, 'm').exec(file)?.[1] ?? '';
  return { accessKeyId: field('aws_access_key_id'), secretAccessKey: field('aws_secret_access_key') };
}
