import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KmsException } from '@keyfleet/client';
import { expect, test } from 'vitest';
import { renewingKms } from './renewing-kms.ts';
import { WebIdentityCredentials } from './web-identity.ts';

const HOUR = 3_600_000;

/** An STS that gives each caller a new session of an hour, unless told to refuse or to wait. */
async function givenSts() {
  await using resources = new AsyncDisposableStack();
  const folder = resources.use(await mkdtempDisposable(join(tmpdir(), 'keyfleet-')));
  const tokenFile = join(folder.path, 'token');
  writeFileSync(tokenFile, 'token-1\n');
  const sts = { now: 0, forms: [] as URLSearchParams[], refuses: false, waitsFor: Promise.resolve() };
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    const answer = () => {
      if (sts.refuses) {
        response.writeHead(400).end('<Error><Code>ExpiredTokenException</Code><Message>too old</Message></Error>');
        return;
      }
      const session = sts.forms.length;
      const expiration = new Date(sts.now + HOUR).toISOString();
      response.end(
        `<Credentials><AccessKeyId>ASIA${session}</AccessKeyId><SecretAccessKey>s</SecretAccessKey>` +
          `<SessionToken>t</SessionToken><Expiration>${expiration}</Expiration></Credentials>`,
      );
    };
    request.on('end', () => {
      sts.forms.push(new URLSearchParams(body));
      void sts.waitsFor.then(answer);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  resources.defer(() => {
    server.close();
    server.closeAllConnections();
  });
  const problems: string[] = [];
  const { port } = server.address() as AddressInfo;
  const roleArn = 'arn:aws:iam::000000000000:role/apiserver';
  const credentials = new WebIdentityCredentials(
    { roleArn, tokenFile, stsUrl: `http://127.0.0.1:${port}` },
    {
      clock: { now: () => sts.now },
      ca: () => undefined,
      timeoutMs: 5_000,
      onProblem: (problem) => problems.push(String(problem)),
    },
  );
  return { sts, credentials, tokenFile, problems, stack: resources.move() };
}

test('a session is shared by all callers, and renewed halfway through with the token that is then in the file', async () => {
  const { sts, credentials, tokenFile, stack } = await givenSts();
  await using _stack = stack;
  const first = await Promise.all([credentials.current(), credentials.current()]);
  expect(first.map(({ accessKeyId }) => accessKeyId)).toEqual(['ASIA1', 'ASIA1']);
  expect(Object.fromEntries(sts.forms[0]!)).toMatchObject({
    Action: 'AssumeRoleWithWebIdentity',
    WebIdentityToken: 'token-1',
  });
  sts.now = HOUR / 2 - 1;
  expect((await credentials.current()).accessKeyId).toBe('ASIA1');
  sts.now = HOUR / 2;
  writeFileSync(tokenFile, 'token-2\n');
  await credentials.current();
  await expect.poll(async () => (await credentials.current()).accessKeyId).toBe('ASIA2');
  expect(sts.forms.map((form) => form.get('WebIdentityToken'))).toEqual(['token-1', 'token-2']);
});

test('a session that cannot be renewed is used while it lasts; then the reason is said', async () => {
  const { sts, credentials, problems, stack } = await givenSts();
  await using _stack = stack;
  await credentials.current();
  sts.refuses = true;
  sts.now = HOUR - 1;
  expect((await credentials.current()).accessKeyId).toBe('ASIA1');
  await expect.poll(() => problems).toHaveLength(1);
  sts.now = HOUR;
  await expect(credentials.current()).rejects.toThrow('STS answers ExpiredTokenException: too old');
});

test('no call waits for an STS that hangs while there is a session, and few ask it', async () => {
  const { sts, credentials, problems, stack } = await givenSts();
  await using _stack = stack;
  const session = async () => (await credentials.current()).accessKeyId;
  await session();
  const { promise, resolve } = Promise.withResolvers<void>();
  Object.assign(sts, { waitsFor: promise, refuses: true });
  sts.now = HOUR / 2;
  expect([await session(), await session()]).toEqual(['ASIA1', 'ASIA1']);
  await expect.poll(() => sts.forms).toHaveLength(2);
  resolve();
  await expect.poll(() => problems).not.toEqual([]);
  sts.now += 4_999;
  expect([await session(), await session()]).toEqual(['ASIA1', 'ASIA1']);
  sts.refuses = false;
  sts.now++;
  await expect.poll(session).toBe('ASIA3');
  expect(sts.forms).toHaveLength(3);
});

/** A client of a Keyfleet that refuses some sessions. Answers with the session that it was called with. */
function givenKms(credentials: WebIdentityCredentials, refuses: (accessKeyId: string) => string | undefined) {
  const called: string[] = [];
  const call = async () => {
    const { accessKeyId } = await credentials.current();
    called.push(accessKeyId);
    const code = refuses(accessKeyId);
    if (code !== undefined) throw new KmsException(code as 'UnrecognizedClientException');
    return { KeyId: accessKeyId };
  };
  const kms = renewingKms({ Encrypt: call, Decrypt: call }, credentials);
  return { called, encrypt: () => kms.Encrypt({ KeyId: 'k', Plaintext: Buffer.of() }) };
}

test.each(['UnrecognizedClientException', 'ExpiredTokenException'])(
  'a session that Keyfleet refuses with %s is replaced at once, by one for all callers',
  async (code) => {
    const { sts, credentials, stack } = await givenSts();
    await using _stack = stack;
    await credentials.current();
    const { encrypt } = givenKms(credentials, (session) => (session === 'ASIA1' ? code : undefined));
    expect(await Promise.all([encrypt(), encrypt()])).toEqual([{ KeyId: 'ASIA2' }, { KeyId: 'ASIA2' }]);
    expect(await encrypt()).toEqual({ KeyId: 'ASIA2' });
    expect(sts.forms).toHaveLength(2);
  },
);

test('a call is tried twice at most, and only if its session was refused', async () => {
  const { sts, credentials, stack } = await givenSts();
  await using _stack = stack;
  await credentials.current();
  const denied = givenKms(credentials, () => 'AccessDeniedException');
  await expect(denied.encrypt()).rejects.toMatchObject({ code: 'AccessDeniedException' });
  expect(denied.called).toEqual(['ASIA1']);
  const refused = givenKms(credentials, () => 'UnrecognizedClientException');
  await expect(refused.encrypt()).rejects.toMatchObject({ code: 'UnrecognizedClientException' });
  expect(refused.called).toEqual(['ASIA1', 'ASIA2']);
  expect(sts.forms).toHaveLength(2);
});

test('a session that was refused is tried again while STS gives no other, and the reason is logged', async () => {
  const { sts, credentials, problems, stack } = await givenSts();
  await using _stack = stack;
  await credentials.current();
  sts.refuses = true;
  let isRefused = true;
  const { encrypt } = givenKms(credentials, () => (isRefused ? 'UnrecognizedClientException' : undefined));
  await expect(encrypt()).rejects.toMatchObject({ code: 'UnrecognizedClientException' });
  expect(problems).toHaveLength(1);
  isRefused = false;
  expect(await encrypt()).toEqual({ KeyId: 'ASIA1' });
});
