import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** As deploy/nats/users.conf names them. */
export type NatsUser = 'frontend' | 'hsm-worker' | 'domain-manager';
export const natsUsers: readonly NatsUser[] = ['frontend', 'hsm-worker', 'domain-manager'];

const file = join(import.meta.dirname, '../../deploy/nats/users.conf');

/** deploy/nats/users.conf, for nats.conf, after the passwords that it names. */
export function natsUserLines(passwordOf: (user: NatsUser) => string): string {
  const variable = (user: NatsUser) => `${user.replaceAll('-', '_').toUpperCase()}_PASSWORD`;
  const passwords = natsUsers.map((user) => `${variable(user)}: "${passwordOf(user)}"`);
  return [...passwords, readFileSync(file, 'utf8')].join('\n');
}
