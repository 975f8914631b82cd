import { alice, startEdge } from '@keyfleet/test-support/edge-fixture';
import { post, rawExchange, type RequestOptions, sign } from '@keyfleet/test-support/raw-http';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setImmediate, setTimeout as delay } from 'node:timers/promises';
import { amzDateOf } from '@keyfleet/shared/sigv4';
import { describe, expect, test } from 'vitest';

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

  // node:http answers the first of these itself, and reads nothing after the second, if nobody says otherwise.
  test.each([
    ['another expectation than 100-continue', 'Expect: more\r\nConnection: close'],
    ['the wish for another protocol', 'Connection: Upgrade\r\nUpgrade: websocket'],
  ])('%s is no way past the limits: it is answered like any request, and the connection ends', async (_, headers) => {
    await using edge = await startEdge();
    const answer = await rawExchange(edge, `GET /healthz HTTP/1.1\r\nHost: edge\r\n${headers}\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1.1 200 OK\r\nx-amzn-RequestId: [0-9a-f-]{36}\r\n/);
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
    expect(edge.refusals).toMatchObject([{ operation: 'ListKeys', caller: { arn: alice.arn, region: 'us-east-1' } }]);
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

  test('a body over the limit', async () => {
    await using edge = await startEdge({ limits: { bodyBytes: 1000 } });
    const tooLarge = '{"__type":"RequestEntityTooLargeException","message":"The request entity is too large."}';
    expect(await post(edge, { body: 'x'.repeat(1001) })).toMatchObject({ status: 413, text: tooLarge });
  });

  test.each(['POST /', 'GET /healthz', 'PUT /keys'])('a body of unstated length: %s', async (line) => {
    await using edge = await startEdge();
    const chunks = '1\r\na\r\n'.repeat(5_000);
    const answer = await rawExchange(
      edge,
      `${line} HTTP/1.1\r\nHost: k\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`,
    );
    expect(answer).toMatch(/^HTTP\/1.1 411 /);
    expect(answer).toContain('"__type":"MissingContentLengthException"');
  });

  test('bodies that together would fill the memory: the one that began first gives way', async () => {
    await using edge = await startEdge({ limits: { bodyBytes: 1000, bufferedBytes: 1500 } });
    const request = `POST / HTTP/1.1\r\nHost: k\r\nConnection: close\r\nContent-Length: 1000\r\n\r\n${'x'.repeat(900)}`;
    const stuck = rawExchange(edge, request);
    const next = rawExchange(edge, request + 'x'.repeat(100));
    expect([await stuck, await next].map((answer) => answer.slice(0, 13))).toEqual(['HTTP/1.1 503 ', 'HTTP/1.1 404 ']);
    expect(await post(edge)).toMatchObject({ status: 200 });
  });

  test('a larger body is not waited for when its caller names no access key that exists', async () => {
    await using edge = await startEdge();
    const head = 'POST / HTTP/1.1\r\nHost: k\r\nX-Amz-Target: TrentService.ListKeys\r\nContent-Length: 100000\r\n';
    const unsigned = await rawExchange(edge, `${head}\r\n`);
    expect(unsigned).toMatch(/^HTTP\/1.1 400 [^]*MissingAuthenticationTokenException/);
    const amzDate = amzDateOf(Date.now());
    const scope = `${amzDate.slice(0, 8)}/us-east-1/kms/aws4_request`;
    const claim = `X-Amz-Date: ${amzDate}\r\nAuthorization: AWS4-HMAC-SHA256 Credential=AKIANOBODYNOBODYNOBO/${scope}, SignedHeaders=host;x-amz-target, Signature=0\r\n`;
    const nobody = await rawExchange(edge, `${head}${claim}\r\n`);
    expect(nobody).toMatch(/^HTTP\/1.1 400 [^]*UnrecognizedClientException/);
  });

  test('a form without a signature may hold a web identity token; a peer’s strangers send so many at once', async () => {
    await using edge = await startEdge({ limits: { strangerUploads: 1, requestTimeoutMs: 60_000 } });
    const call = 'Action=AssumeRoleWithWebIdentity&Version=2011-06-15&WebIdentityToken=';
    const begun = (length: number) =>
      'POST / HTTP/1.1\r\nHost: k\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n' +
      `Content-Length: ${length}\r\n\r\n${call}`;
    const whole = (length: number) => begun(length) + 'x'.repeat(length - call.length);
    expect(await rawExchange(edge, whole(32_768))).toContain("at 'webIdentityToken'");
    expect(await rawExchange(edge, whole(32_769))).toContain('<Code>MissingAuthenticationToken</Code>');

    const slow = connect(edge.port, '127.0.0.1').on('error', () => {});
    slow.write(begun(32_768));
    await once(slow, 'ready');
    const other = rawExchange(edge, whole(32_768));
    expect(await Promise.race([other, delay(500, 'waits')])).toBe('waits');
    slow.destroy();
    expect(await other).toContain("at 'webIdentityToken'");
  });

  test('requests that come at once on one connection are answered one after the other, in order', async () => {
    let inFlight = 0;
    let most = 0;
    await using edge = await startEdge({
      invoke: async () => {
        most = Math.max(most, ++inFlight);
        await setImmediate();
        inFlight--;
        return { Keys: [], Truncated: false };
      },
    });
    const amzDate = amzDateOf(Date.now());
    const headers = new Map([
      ['host', 'k'],
      ['x-amz-date', amzDate],
      ['x-amz-target', 'TrentService.ListKeys'],
      ['content-type', 'application/x-amz-json-1.1'],
    ]);
    headers.set('authorization', sign({ method: 'POST', path: '/', body: '{}', headers, amzDate }));
    const lines = [...headers].map(([name, value]) => `${name}: ${value}\r\n`).join('');
    const request = (more: string) => `POST / HTTP/1.1\r\n${lines}Content-Length: 2\r\n${more}\r\n{}`;
    const socket = connect(edge.port, '127.0.0.1').setEncoding('latin1');
    socket.write(request(''));
    let [answers] = (await once(socket, 'data')) as [string];
    socket.write(request('').repeat(998) + request('Connection: close\r\n'));
    for await (const more of socket) answers += more as string;
    expect(answers.match(/HTTP\/1.1 200 /g)).toHaveLength(1000);
    expect(most).toBe(1);
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
