import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Founded, startFounded } from './support/topology/found.ts';
import { assertNoneFails } from './support/topology/sdk-load.ts';

// "Passwords" of docs/kubernetes.md under a load of the AWS SDK, with its retries as they are by default.

let topology: Founded;
beforeAll(async () => void (topology = await startFounded()));
afterAll(() => topology?.[Symbol.asyncDispose]());

const noneFails = (what: string, meanwhile: () => Promise<unknown>) => assertNoneFails(what, topology, meanwhile);

test('Redis has other passwords, those before are wrong, and no call fails', async () => {
  const { laptop, objects } = topology;
  const before = objects.secrets.get('redis-passwords')!;
  await noneFails('the new passwords are accepted', () => laptop.runDocumented('>redis-$name.before'));
  await noneFails('the new passwords are used', () => laptop.runDocumented('"%s":"%s","%s.also":"%s"'));
  expect(await answersTo(before)).toEqual(['PONG']);
  await noneFails('those before are forgotten', () => laptop.runDocumented('rm redis-$name.before'));
  expect(await answersTo(before)).toEqual([expect.stringContaining('NOAUTH')]);
  const after = objects.secrets.get('redis-passwords')!;
  expect(Object.keys(after)).toEqual(Object.keys(before));
  expect(await answersTo(after)).toEqual(['PONG']);
}, 1_200_000);

test('NATS has other passwords, and no call fails', async () => {
  const { laptop, objects } = topology;
  const before = objects.secrets.get('nats-passwords')!;
  await noneFails('NATS has other passwords', () => laptop.runDocumented('patch secret nats-passwords'));
  const after = objects.secrets.get('nats-passwords')!;
  expect(Object.keys(after)).toEqual(Object.keys(before));
  for (const name of Object.keys(before)) expect(after[name]).not.toEqual(before[name]);
}, 1_200_000);

/** What Redis says to each of its users. */
async function answersTo(passwords: Readonly<Record<string, Buffer>>): Promise<string[]> {
  const tls = ['--tls', '--cert', '/run/tls/tls.crt', '--key', '/run/tls/tls.key', '--cacert', '/run/tls/ca.crt'];
  const said = Object.entries(passwords).map(async ([name, password]) => {
    const user = ['--user', name, '--pass', password.toString().trim(), '--no-auth-warning'];
    const { stdout } = await topology.pod('redis-0').exec(['redis-cli', '-h', '127.0.0.1', ...user, ...tls, 'ping']);
    return stdout;
  });
  return [...new Set(await Promise.all(said))];
}
