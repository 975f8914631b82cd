import { createConnection } from 'node:net';
import { once } from 'node:events';
import {
  CreateAliasCommand,
  DecryptCommand,
  DescribeKeyCommand,
  EncryptCommand,
  GetPublicKeyCommand,
  KMSClient,
  ListKeysCommand,
} from '@aws-sdk/client-kms';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { canonicalPath, type SignableRequest } from '@keyfleet/shared/sigv4/canonical-request';
import { authorizationOf } from '@keyfleet/shared/sigv4/sign-request';
import { amzDateOf, deriveSigningKey, newSigningSecret } from '@keyfleet/shared/sigv4/signature';
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { alice, startEdge } from '../support/edge-fixture.ts';

const credentials = { accessKeyId: alice.accessKeyId, secretAccessKey: alice.secretAccessKey };

interface Edge {
  readonly endpoint: string;
  readonly port: number;
}

function kmsClient(edge: Edge, changes: object = {}): KMSClient {
  return new KMSClient({ endpoint: edge.endpoint, region: 'us-east-1', credentials, maxAttempts: 1, ...changes });
}

interface RequestOptions {
  readonly method?: string;
  readonly path?: string;
  readonly target?: string;
  readonly body?: string;
  readonly headers?: Record<string, string>;
  readonly unsigned?: boolean;
  readonly time?: number;
}

/** A request signed as it should be, then sent as it is told. */
async function post(edge: Edge, options: RequestOptions = {}) {
  const { method = 'POST', path = '/', body = '{}', target = 'TrentService.ListKeys' } = options;
  const amzDate = amzDateOf(options.time ?? Date.now());
  const headers = new Map(
    Object.entries({
      host: `127.0.0.1:${edge.port}`,
      'content-type': 'application/x-amz-json-1.1',
      'x-amz-date': amzDate,
      'x-amz-target': target,
      ...options.headers,
    }),
  );
  if (options.unsigned !== true) headers.set('authorization', sign({ method, path, body, headers, amzDate }));
  const sent = method === 'GET' ? {} : { body };
  const response = await fetch(`${edge.endpoint}${path}`, { method, headers: Object.fromEntries(headers), ...sent });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

function sign(request: { method: string; path: string; body: string; headers: Map<string, string>; amzDate: string }) {
  const scope = { date: request.amzDate.slice(0, 8), region: 'us-east-1', service: 'kms' };
  const signingKey = deriveSigningKey(newSigningSecret(alice.secretAccessKey), scope);
  const signable: SignableRequest = {
    method: request.method,
    path: canonicalPath(request.path),
    query: '',
    headers: request.headers,
    payloadHash: createHash('sha256').update(request.body).digest('hex'),
  };
  return authorizationOf(signable, request.amzDate, { accessKeyId: alice.accessKeyId, scope, signingKey });
}

/** Writes bytes to a socket and reads until the server closes it. */
async function rawExchange(edge: Edge, text: string): Promise<string> {
  const socket = createConnection(edge.port, '127.0.0.1');
  let received = '';
  socket.setEncoding('latin1').on('data', (chunk: string) => (received += chunk));
  socket.on('error', () => undefined);
  socket.write(text);
  await once(socket, 'close');
  return received;
}

describe('with the AWS SDK', () => {
  test('a signed call reaches its operation, with the caller and Region that the signature proves', async () => {
    await using edge = await startEdge();
    const output = await kmsClient(edge, { region: 'eu-west-1' }).send(new ListKeysCommand({ Limit: 3 }));
    expect(output).toMatchObject({ Keys: [{ KeyId: 'k', KeyArn: 'arn:k' }], Truncated: false });
    expect(output.$metadata.requestId).toBe(edge.invocations[0]?.call.requestId);
    expect(edge.invocations).toMatchObject([
      { operation: 'ListKeys', input: { Limit: 3 }, call: { caller: { arn: alice.arn }, region: 'eu-west-1' } },
    ]);
  });

  test('bytes travel as bytes, and an operation without output answers an empty body', async () => {
    await using edge = await startEdge();
    const kms = kmsClient(edge);
    const { CiphertextBlob } = await kms.send(new EncryptCommand({ KeyId: 'k', Plaintext: Buffer.from('plain') }));
    expect(Buffer.from(CiphertextBlob!).toString()).toBe('sealed');
    await kms.send(new CreateAliasCommand({ AliasName: 'alias/a', TargetKeyId: 'k' }));
    expect(edge.invocations.map(({ operation }) => operation)).toEqual(['Encrypt', 'CreateAlias']);
  });

  test('exceptions keep their name and message; a fault tells nothing', async () => {
    await using edge = await startEdge();
    const kms = kmsClient(edge);
    await expect(kms.send(new DescribeKeyCommand({ KeyId: 'k' }))).rejects.toMatchObject({
      name: 'NotFoundException',
      message: "Key 'arn:k' does not exist",
      $metadata: { httpStatusCode: 400 },
    });
    await expect(kms.send(new DecryptCommand({ CiphertextBlob: Buffer.from('x') }))).rejects.toMatchObject({
      name: 'InvalidCiphertextException',
      message: expect.not.stringContaining('never shown') as unknown,
    });
    await expect(kms.send(new GetPublicKeyCommand({ KeyId: 'k' }))).rejects.toMatchObject({
      name: 'KMSInternalException',
      message: expect.not.stringContaining('nobody') as unknown,
      $metadata: { httpStatusCode: 500 },
    });
  });

  test.each([
    ['a wrong secret', { credentials: { ...credentials, secretAccessKey: 'x' } }, 'InvalidSignatureException'],
    [
      'an unknown access key',
      { credentials: { ...credentials, accessKeyId: 'AKIANOBODYNOBODYNOBO' } },
      'UnrecognizedClientException',
    ],
    ['a session token', { credentials: { ...credentials, sessionToken: 't' } }, 'UnrecognizedClientException'],
    ['a Region that is not served', { region: 'mars-1' }, 'InvalidSignatureException'],
    ['a clock that is an hour off', { systemClockOffset: 3_600_000 }, 'InvalidSignatureException'],
  ])('%s is refused, recorded, and reaches no operation', async (_, changes, name) => {
    await using edge = await startEdge();
    await expect(kmsClient(edge, changes).send(new ListKeysCommand({}))).rejects.toMatchObject({ name });
    expect(edge.invocations).toEqual([]);
    expect(edge.refusals).toMatchObject([{ operation: 'ListKeys', exception: { code: name } }]);
  });

  test('STS says who the caller is, and names its errors as STS does', async () => {
    await using edge = await startEdge();
    const settings = { endpoint: edge.endpoint, region: 'us-east-1', maxAttempts: 1 };
    const identity = await new STSClient({ ...settings, credentials }).send(new GetCallerIdentityCommand({}));
    expect(identity).toMatchObject({ Account: '000000000000', Arn: alice.arn, UserId: 'AIDAALICEALICEALICEA' });
    const impostor = new STSClient({ ...settings, credentials: { ...credentials, secretAccessKey: 'x' } });
    await expect(impostor.send(new GetCallerIdentityCommand({}))).rejects.toMatchObject({
      name: 'SignatureDoesNotMatch',
      $metadata: { httpStatusCode: 403 },
    });
    const nobody = new STSClient({ ...settings, credentials: { ...credentials, accessKeyId: 'AKIANOBODYNOBODYNOBO' } });
    await expect(nobody.send(new GetCallerIdentityCommand({}))).rejects.toMatchObject({ name: 'InvalidClientTokenId' });
  });
});

describe('bad input gets AWS’s error and reaches no operation', () => {
  test.each<[string, RequestOptions, number, string]>([
    [
      'unsigned',
      { unsigned: true },
      400,
      '{"__type":"MissingAuthenticationTokenException","message":"Missing Authentication Token"}',
    ],
    ['unknown target', { target: 'TrentService.Nothing' }, 400, '{"__type":"UnknownOperationException"}'],
    [
      'an operation that only objects have',
      { target: 'TrentService.constructor' },
      400,
      '{"__type":"UnknownOperationException"}',
    ],
    ['malformed JSON', { body: '{' }, 400, '{"__type":"SerializationException"}'],
    ['malformed JSON, unsigned', { body: '{', unsigned: true }, 400, '{"__type":"SerializationException"}'],
    ['no body', { body: '' }, 400, '{"__type":"SerializationException"}'],
    [
      'wrong type',
      { body: '{"Limit":"3"}' },
      400,
      '{"__type":"SerializationException","Message":"STRING_VALUE can not be converted to an Integer"}',
    ],
    ['another content type', { headers: { 'content-type': 'text/plain' } }, 404, '<UnknownOperationException/>\n'],
    ['another method', { method: 'PUT' }, 404, '<UnknownOperationException/>\n'],
    ['another path', { path: '/keys' }, 404, '<UnknownOperationException/>\n'],
  ])('%s', async (_, options, status, text) => {
    await using edge = await startEdge();
    const response = await post(edge, options);
    expect({ status: response.status, text: response.text }).toEqual({ status, text });
    expect(response.headers.get('x-amzn-requestid')).toMatch(/^[0-9a-f-]{36}$/);
    expect(edge.invocations).toEqual([]);
  });

  test('a constraint that is broken is named, and recorded with the caller', async () => {
    await using edge = await startEdge();
    const { status, text } = await post(edge, { body: '{"Limit":0}' });
    expect(status).toBe(400);
    expect(JSON.parse(text)).toEqual({
      __type: 'ValidationException',
      message:
        "1 validation error detected: Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1",
    });
    expect(edge.refusals).toMatchObject([{ operation: 'ListKeys', caller: { caller: { arn: alice.arn } } }]);
  });

  test('a stale signature', async () => {
    await using edge = await startEdge();
    const { status, text } = await post(edge, { time: Date.now() - 3_600_000 });
    expect(status).toBe(400);
    expect(text).toMatch(
      /^{"__type":"InvalidSignatureException","message":"Signature expired: \S+ is now earlier than \S+ \(\S+ - 5 min\.\)"}$/,
    );
  });

  test('a request that was signed and then changed', async () => {
    await using edge = await startEdge();
    const amzDate = amzDateOf(Date.now());
    const headers = new Map([
      ['host', `127.0.0.1:${edge.port}`],
      ['x-amz-date', amzDate],
      ['x-amz-target', 'TrentService.ListKeys'],
      ['content-type', 'application/x-amz-json-1.1'],
    ]);
    headers.set('authorization', sign({ method: 'POST', path: '/', body: '{}', headers, amzDate }));
    for (const [name, value] of [
      ['x-amz-target', 'TrentService.CreateKey'],
      ['content-type', 'application/x-amz-json-1.1; x=y'],
    ] as const) {
      const changed = Object.fromEntries(new Map(headers).set(name, value));
      const response = await fetch(edge.endpoint, { method: 'POST', headers: changed, body: '{}' });
      expect(await response.text()).toContain('InvalidSignatureException');
    }
    const response = await fetch(edge.endpoint, { method: 'POST', headers: Object.fromEntries(headers), body: '{ }' });
    expect(await response.text()).toContain('The request signature we calculated does not match');
    expect(edge.invocations).toEqual([]);
  });

  test('a body over the limit, declared or not', async () => {
    await using edge = await startEdge({ limits: { bodyBytes: 1000 } });
    const tooLarge = '{"__type":"RequestEntityTooLargeException","message":"The request entity is too large."}';
    expect(await post(edge, { body: 'x'.repeat(1001) })).toMatchObject({ status: 413, text: tooLarge });
    const chunk = `${(600).toString(16)}\r\n${'x'.repeat(600)}\r\n`;
    const answer = await rawExchange(
      edge,
      `POST / HTTP/1.1\r\nHost: k\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}${chunk}0\r\n\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1.1 413 /);
    expect(answer).toContain(tooLarge);
  });

  test('a flood of headers, in size and in number', async () => {
    await using edge = await startEdge();
    const large = await rawExchange(edge, `POST / HTTP/1.1\r\nHost: k\r\nX-A: ${'x'.repeat(20_000)}\r\n\r\n`);
    expect(large).toMatch(/^HTTP\/1.1 431 /);
    const many = await rawExchange(
      edge,
      `POST / HTTP/1.1\r\nHost: k\r\nConnection: close\r\n${'X-A: 1\r\n'.repeat(120)}\r\n`,
    );
    expect(many).toMatch(/^HTTP\/1.1 431 /);
    expect(many).toContain('RequestEntityTooLargeException');
  });

  test('what is not HTTP, and a request that two readers could read differently', async () => {
    await using edge = await startEdge();
    const smuggled = 'POST / HTTP/1.1\r\nHost: k\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}';
    for (const text of ['NONSENSE\r\n\r\n', smuggled]) {
      const answer = await rawExchange(edge, text);
      expect(answer).toMatch(/^HTTP\/1.1 400 /);
      expect(answer).toContain('MalformedHttpRequestException');
    }
  });

  test('a body that never comes is cut off', async () => {
    await using edge = await startEdge({ limits: { headersTimeoutMs: 200, requestTimeoutMs: 300 } });
    const answer = await rawExchange(edge, 'POST / HTTP/1.1\r\nHost: k\r\nContent-Length: 10\r\n\r\n{');
    expect(answer).toMatch(/^HTTP\/1.1 408 /);
    expect(answer).toContain('RequestTimeoutException');
    expect(await rawExchange(edge, 'POST / HT')).toMatch(/^HTTP\/1.1 408 /);
  });
});

describe('the server itself', () => {
  test('a dependency that does not answer becomes an error in bounded time, and its work is told to stop', async () => {
    let signal: AbortSignal | undefined;
    await using edge = await startEdge({
      requestTimeoutMs: 100,
      invoke: ({ call }) => {
        signal = call.signal;
        return new Promise(() => undefined);
      },
    });
    const { status, text } = await post(edge);
    expect(status).toBe(503);
    expect(JSON.parse(text)).toMatchObject({ __type: 'DependencyTimeoutException' });
    expect(signal?.aborted).toBe(true);
  });

  test('a client that goes away aborts its request', async () => {
    const arrived = Promise.withResolvers<AbortSignal>();
    await using edge = await startEdge({
      invoke: ({ call }) => {
        arrived.resolve(call.signal);
        return new Promise(() => undefined);
      },
    });
    const client = new AbortController();
    const sent = kmsClient(edge).send(new ListKeysCommand({}), { abortSignal: client.signal });
    const signal = await arrived.promise;
    client.abort();
    await expect(sent).rejects.toMatchObject({ name: 'AbortError' });
    if (!signal.aborted) await once(signal, 'abort');
  });

  test('a request in flight is answered before a stopping server closes', async () => {
    const arrived = Promise.withResolvers<void>();
    const go = Promise.withResolvers<void>();
    const edge = await startEdge({
      invoke: async () => {
        arrived.resolve();
        await go.promise;
        return { Keys: [], Truncated: false };
      },
    });
    const answer = post(edge);
    await arrived.promise;
    const stopped = edge[Symbol.asyncDispose]();
    go.resolve();
    expect(await answer).toMatchObject({ status: 200 });
    await stopped;
    await expect(post(edge)).rejects.toThrow('fetch failed');
  });

  test('healthz says that the process is alive, readyz what is missing', async () => {
    await using edge = await startEdge({
      readiness: () => ({ redis: { ok: true }, session: { ok: false, detail: 'no worker yet' } }),
    });
    const health = await fetch(`${edge.endpoint}/healthz`);
    expect([health.status, await health.json()]).toEqual([200, { status: 'ok' }]);
    const ready = await fetch(`${edge.endpoint}/readyz`);
    expect([ready.status, await ready.json()]).toEqual([
      503,
      { status: 'unavailable', checks: { redis: { ok: true }, session: { ok: false, detail: 'no worker yet' } } },
    ]);
  });
});
