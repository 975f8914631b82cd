import { createHmac } from 'node:crypto';
import { mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CompactSign, exportJWK, exportSPKI, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose';
import { TestClock } from '@keyfleet/test-support/domain';
import { expect, test } from 'vitest';
import { sparing } from './jwks-fetch.ts';
import { WebIdentities } from './web-identities.ts';

const now = Date.UTC(2026, 10, 26);
const issuer = 'https://oidc.example.com/cluster';
const { publicKey, privateKey } = await generateKeyPair('RS256', { extractable: true });
const { privateKey: strangersKey } = await generateKeyPair('RS256');
const jwks = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'one', alg: 'RS256' }] });

function tokenOf(claims: object = {}) {
  const iat = now / 1000;
  return new SignJWT({
    iss: issuer,
    sub: 'system:serviceaccount:a:b',
    aud: 'sts.amazonaws.com',
    iat,
    exp: iat + 600,
    ...claims,
  });
}

const header = { alg: 'RS256', kid: 'one' };
const signed = (claims: object = {}) => tokenOf(claims).setProtectedHeader(header).sign(privateKey);

function withFile(content = jwks) {
  const folder = mkdtempDisposableSync(join(tmpdir(), 'keyfleet-jwks-'));
  const jwksFile = join(folder.path, 'jwks.json');
  writeFileSync(jwksFile, content);
  const identities = new WebIdentities([{ issuer, audiences: ['sts.amazonaws.com'], jwksFile }]);
  return { identities, jwksFile, [Symbol.dispose]: () => folder.remove() };
}

async function refusal(identities: WebIdentities, token: string): Promise<string> {
  return identities.verify(token, now).then(
    () => 'taken',
    (error: Error) => `${error.name}: ${error.message}`,
  );
}

test('a token of a configured issuer proves its subject, for an audience that is taken', async () => {
  using given = withFile();
  expect(await given.identities.verify(await signed({ aud: ['other', 'sts.amazonaws.com'] }), now)).toMatchObject({
    issuer,
    subject: 'system:serviceaccount:a:b',
    audience: 'sts.amazonaws.com',
  });
});

test("a claim whose name has an escape is there, whatever stranger's token was refused before", async () => {
  using given = withFile();
  const encode = (text: string): string => Buffer.from(text).toString('base64url');
  const name = 'https://acme.example/blocked';
  const written = name.replaceAll('/', String.raw`\/`);
  const times = `"iat":${now / 1000},"exp":${now / 1000 + 600}`;
  // V8 takes the name of the one for that of the other, which begins alike.
  const strangers = `{"iss":"nobody","sub":"s","aud":"a",${times},${JSON.stringify(written.slice(0, name.length))}:1}`;
  expect(await refusal(given.identities, `x.${encode(strangers)}.x`)).toContain('No OpenIDConnect provider');
  JSON.parse(strangers);
  const genuine = `{"iss":"${issuer}","sub":"s","aud":"sts.amazonaws.com",${times},"${written}":"yes"}`;
  const token = await new CompactSign(Buffer.from(genuine)).setProtectedHeader(header).sign(privateKey);
  expect((await given.identities.verify(token, now)).claims).toHaveProperty([name], 'yes');
});

test('a token without a signature, or under a secret that is the public key, is refused', async () => {
  using given = withFile();
  const claims = { iss: issuer, sub: 's', aud: 'sts.amazonaws.com', iat: now / 1000, exp: now / 1000 + 600 };
  const unsecured = new UnsecuredJWT(claims).encode();
  const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url');
  const confusedWith = (secret: string): string => {
    const text = `${encode({ alg: 'HS256', kid: 'one' })}.${encode(claims)}`;
    return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
  };
  for (const token of [unsecured, confusedWith(await exportSPKI(publicKey)), confusedWith(jwks)]) {
    expect(await refusal(given.identities, token)).toMatch(/^InvalidIdentityToken: /);
  }
});

test('a token of a stranger, of another issuer or audience, altered, too old or too new is refused', async () => {
  using given = withFile();
  const genuine = await signed();
  const [head, , signature] = genuine.split('.');
  const payload = Buffer.from(JSON.stringify({ iss: issuer, sub: 'root', aud: 'sts.amazonaws.com' })).toString(
    'base64url',
  );
  const refusals: [string, RegExp][] = [
    [await tokenOf().setProtectedHeader(header).sign(strangersKey), /^InvalidIdentityToken/],
    [await tokenOf().setProtectedHeader({ alg: 'RS256', kid: 'two' }).sign(privateKey), /^InvalidIdentityToken/],
    [`${head}.${payload}.${signature}`, /^InvalidIdentityToken/],
    [await signed({ iss: 'https://evil.example.com' }), /^InvalidIdentityToken: No OpenIDConnect provider/],
    [await signed({ aud: 'other' }), /^InvalidIdentityToken: Incorrect token audience/],
    [await signed({ exp: now / 1000 - 61 }), /^ExpiredTokenException/],
    [await signed({ nbf: now / 1000 + 61 }), /^InvalidIdentityToken/],
    [await signed({ exp: undefined }), /^InvalidIdentityToken/],
    [await signed({ sub: undefined }), /^InvalidIdentityToken/],
    ['', /^InvalidIdentityToken/],
    ['a.b.c', /^InvalidIdentityToken/],
    [`${genuine}.x`, /^InvalidIdentityToken/],
  ];
  for (const [token, expected] of refusals) expect(await refusal(given.identities, token)).toMatch(expected);
});

test('a key that is taken out of the file, or replaced under its id, proves nothing from then on', async () => {
  using given = withFile();
  const token = await signed();
  expect(await refusal(given.identities, token)).toBe('taken');
  const { publicKey: other, privateKey: otherKey } = await generateKeyPair('RS256');
  const next = async (kid: string) => JSON.stringify({ keys: [{ ...(await exportJWK(other)), kid, alg: 'RS256' }] });
  for (const kid of ['one', 'another-one']) {
    writeFileSync(given.jwksFile, await next(kid));
    expect(await refusal(given.identities, token)).toMatch(/^InvalidIdentityToken/);
    const under = await tokenOf().setProtectedHeader({ alg: 'RS256', kid }).sign(otherKey);
    expect(await refusal(given.identities, under)).toBe('taken');
  }
});

test('a JWKS endpoint that hangs, or answers nonsense, is asked once in seconds and holds nobody up for ever', async () => {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url!);
    if (request.url === '/nonsense') response.end('<html>');
    if (request.url === '/no-keys') response.end('{}');
    if (request.url === '/away') response.writeHead(503).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  await using stack = new AsyncDisposableStack();
  stack.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  for (const path of ['hangs', 'nonsense', 'no-keys', 'away']) {
    const jwksUrl = `http://127.0.0.1:${port}/${path}`;
    const identities = new WebIdentities([{ issuer, audiences: ['sts.amazonaws.com'], jwksUrl }]);
    const refused = await Promise.all([signed(), signed()].map(async (token) => refusal(identities, await token)));
    refused.push(await refusal(identities, await signed()));
    for (const said of refused) expect(said).toMatch(/^IDPCommunicationError/);
  }
  expect(asked).toEqual(['/hangs', '/nonsense', '/no-keys', '/away']);
});

test('an issuer that failed is asked again after two to four seconds', async () => {
  const clock = new TestClock();
  let asked = 0;
  const answers = [new Response('', { status: 503 }), new Response(jwks)];
  const fetching = sparing(async () => answers[asked++]!, clock);
  const ask = () => fetching('https://issuer.example', {} as never);
  await expect(ask()).rejects.toThrow(TypeError);
  clock.advance(1_999);
  await expect(ask()).rejects.toThrow(TypeError);
  expect(asked).toBe(1);
  clock.advance(2_001);
  expect(await (await ask()).text()).toBe(jwks);
});

test('keys come from a URL, and are asked for once', async () => {
  let asked = 0;
  const server = createServer((_, response) => {
    asked += 1;
    response.setHeader('content-type', 'application/json').end(jwks);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  await using stack = new AsyncDisposableStack();
  stack.defer(() => void server.close());
  const jwksUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`;
  const identities = new WebIdentities([{ issuer, audiences: ['sts.amazonaws.com'], jwksUrl }]);
  for (let i = 0; i < 3; i++) await identities.verify(await signed(), now);
  // A made-up key id causes no further request to the issuer.
  await refusal(identities, await tokenOf().setProtectedHeader({ alg: 'RS256', kid: 'x' }).sign(privateKey));
  expect(asked).toBe(1);
});

test('a token with an azp is for whom it was issued to, and aud says so; oaud is what it said itself', async () => {
  using given = withFile();
  const azp = 'sts.amazonaws.com';
  const { audience, claims } = await given.identities.verify(await signed({ aud: ['other', azp], azp }), now);
  expect([audience, claims['aud'], claims['oaud']]).toEqual([azp, azp, ['other', azp]]);
  expect(await refusal(given.identities, await signed({ azp: 'another client' }))).toBe(
    'InvalidIdentityToken: Incorrect token audience',
  );
  for (const odd of [[azp], null, 7]) {
    expect(await refusal(given.identities, await signed({ azp: odd }))).toContain('Incorrect token audience');
  }
});

test('a token that will be issued in more than a minute is refused', async () => {
  using given = withFile();
  expect(await refusal(given.identities, await signed({ iat: now / 1000 + 61 }))).toContain('from the future');
  expect(await refusal(given.identities, await signed({ iat: now / 1000 + 59 }))).toBe('taken');
});
