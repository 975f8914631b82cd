import { expect, test } from 'vitest';
import { NatsConfig, startNotices } from './notices.ts';

test.each([
  ['a user without a password', { username: 'frontend' }, 'nats.passwordFile: missing'],
  ['a password without a user', { passwordFile: '/run/password' }, 'nats.username: missing'],
  [
    'a user beside a token',
    { tokenFile: '/run/token', username: 'frontend', passwordFile: '/run/password' },
    'nats.tokenFile: ',
  ],
])('%s is a mistake of the configuration', async (_, credentials, said) => {
  const nats = NatsConfig.parse({ servers: ['nats://127.0.0.1:1'], ...credentials });
  await expect(async () => {
    await using _notices = startNotices({ nats, name: 'test' });
  }).rejects.toThrow(said);
});
