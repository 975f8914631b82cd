import { expect, test } from 'vitest';
import type { XksHosts } from './hosts.ts';
import { XksError } from './problems.ts';
import { XksProxies, type XksProxiesDeps } from './proxies.ts';

const xks = {
  uriEndpoint: 'https://proxy.example',
  uriPath: '/kms/xks/v1',
  accessKeyId: 'A'.repeat(20),
  token: new Uint8Array(8),
} as const;
const proxy = { accountId: '111122223333', region: 'us-east-1', storeId: 'cks-1', xks };
const purpose = { operation: 'Encrypt', requestId: 'r', principal: 'arn:aws:iam::111122223333:user/a', deadline: 0 };

/** A store whose signing key is opened when `open` is called, and whose proxy answers as `call` does. */
function newProxies(call: XksHosts['call']) {
  const opened = Promise.withResolvers<{ secretAccessKey: Buffer }>();
  const hsm = { execute: () => opened.promise } as object as XksProxiesDeps['hsm'];
  const proxies = new XksProxies({ clock: { now: () => Date.UTC(2026, 10, 27) }, hsm, hosts: { call } });
  const open = () => opened.resolve({ secretAccessKey: Buffer.alloc(43, 'a') });
  const use = () => proxies.use(proxy, 'encrypt', { externalKeyId: 'k', members: {}, purpose });
  return { open, use };
}

const problemOf = (settled: PromiseSettledResult<unknown>) =>
  settled.status === 'rejected' && settled.reason instanceof XksError ? settled.reason.problem : settled.status;

test('of the requests that waited for the signing key of a store, no more go to its proxy than it has at once', async () => {
  let calls = 0;
  const held = Promise.withResolvers<never>();
  const { open, use } = newProxies(() => {
    calls += 1;
    return held.promise;
  });
  // Most are refused before the others are.
  const all = Promise.allSettled(Array.from({ length: 1_000 }, use));
  open();
  await expect.poll(() => calls).toBeGreaterThan(0);
  held.reject(new XksError('unreachable'));
  const problems = (await all).map(problemOf);
  expect(calls).toBe(256);
  expect(problems.filter((problem) => problem === 'throttled')).toHaveLength(1_000 - 256);
});

test('after a removal the secret of a proxy is opened again', async () => {
  let opened = 0;
  const execute = () => Promise.resolve({ secretAccessKey: Buffer.alloc(43, String(opened++)) });
  const signed: string[] = [];
  const proxies = new XksProxies({
    clock: { now: () => Date.UTC(2026, 10, 27) },
    hsm: { execute } as object as XksProxiesDeps['hsm'],
    hosts: {
      call: ({ headers }) => {
        signed.push(headers['authorization'] as string);
        return Promise.reject(new XksError('key-disabled'));
      },
    },
  });
  const use = () =>
    expect(proxies.use(proxy, 'encrypt', { externalKeyId: 'k', members: {}, purpose })).rejects.toThrow(XksError);
  await use();
  await use();
  expect({ opened, signatures: new Set(signed).size }).toEqual({ opened: 1, signatures: 1 });
  proxies.forgetSigningKeys();
  await use();
  expect({ opened, signatures: new Set(signed).size }).toEqual({ opened: 2, signatures: 2 });
});

test('a proxy that does not take the signature has its secret opened again, perhaps by another member', async () => {
  const secrets = ['a lie', 'right', 'never asked'];
  const accepted = new Set<string>();
  const proxies = new XksProxies({
    clock: { now: () => Date.UTC(2026, 10, 27) },
    hsm: {
      execute: () => Promise.resolve({ secretAccessKey: Buffer.from(secrets.shift()!) }),
    } as object as XksProxiesDeps['hsm'],
    hosts: {
      call: ({ headers }) => {
        const error = secrets.length === 2 ? 'AuthenticationFailedException' : 'ThrottlingException';
        if (secrets.length < 2) accepted.add(headers['authorization'] as string);
        return Promise.resolve({ status: 401, body: Buffer.from(JSON.stringify({ errorName: error })) });
      },
    },
  });
  const problem = () =>
    proxies
      .use(proxy, 'encrypt', { externalKeyId: 'k', members: {}, purpose })
      .catch((error: XksError) => error.problem);
  expect([await problem(), await problem(), await problem()]).toEqual(['not-authenticated', 'throttled', 'throttled']);
  expect({ accepted: accepted.size, left: secrets }).toEqual({ accepted: 1, left: ['never asked'] });
});
