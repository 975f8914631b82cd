import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Founded, startFounded } from './support/topology/found.ts';
import type { Pod } from './support/topology/pod.ts';
import { assertNoneFails } from './support/topology/sdk-load.ts';

// "Passwords" of docs/kubernetes.md under a load of the AWS SDK, with its retries as they are by default.

let topology: Founded;
beforeAll(async () => void (topology = await startFounded()));
afterAll(() => topology?.[Symbol.asyncDispose]());

const noneFails = (what: string, meanwhile: () => Promise<unknown>) => assertNoneFails(what, topology, meanwhile);

test('Sentinels forget their master, and are made anew: they know who it is, have another password, and find the others', async () => {
  const { laptop } = topology;
  const pods = topology.pods('redis');
  const asks = async (pod: Pod, command: string, user = 'sentinel', port = 26_379) => {
    const script = `user=${user} sh /etc/redis/ask.sh 127.0.0.1 ${port} ${command}`;
    return (await pod.exec(['sh', '-c', script], 'sentinel')).stdout;
  };
  const ids = () => Promise.all(pods.map((pod) => asks(pod, 'sentinel myid', 'operator')));
  const before = await ids();
  await laptop.runDocumented('sentinel remove keyfleet');
  for (const pod of pods) {
    expect(await asks(pod, 'sentinel get-master-addr-by-name keyfleet')).toBe('');
    expect(await asks(pod, 'sentinel masters', 'operator')).toContain('NOAUTH');
  }
  for (const pod of pods) {
    expect(await asks(pod, "acl setuser sentinel resetpass '>another'", 'operator', 6379)).toBe('OK');
  }
  const data = { sentinel: Buffer.from('another').toString('base64') };
  await laptop.run(`kubectl patch secret redis-passwords --patch '${JSON.stringify({ data })}'`);
  await laptop.runDocumented('/run/secrets/sentinel');

  const known = async (pod: Pod) => [
    (await asks(pod, 'sentinel get-master-addr-by-name keyfleet')).split('\n')[0],
    (await asks(pod, 'sentinel replicas keyfleet')).match(/^runid$/gm)?.length,
    (await asks(pod, 'sentinel sentinels keyfleet', 'operator')).match(/^runid$/gm)?.length,
  ];
  for (const pod of pods) {
    await expect.poll(() => known(pod), { timeout: 60_000 }).toEqual(['redis-0.redis.keyfleet.svc', 2, 2]);
  }
  expect(new Set([...before, ...(await ids())]).size).toBe(6);
  await topology.awaitReady('redis');
}, 600_000);

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
