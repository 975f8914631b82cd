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
import { alice, startEdge } from '@keyfleet/test-support/edge-fixture';
import { post } from '@keyfleet/test-support/raw-http';
import { createConnection } from 'node:net';
import { describe, expect, test, vi } from 'vitest';

const credentials = { accessKeyId: alice.accessKeyId, secretAccessKey: alice.secretAccessKey };

interface Edge {
  readonly endpoint: string;
  readonly port: number;
}

function kmsClient(edge: Edge, changes: object = {}): KMSClient {
  return new KMSClient({ endpoint: edge.endpoint, region: 'us-east-1', credentials, maxAttempts: 1, ...changes });
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

describe('the server itself', () => {
  test('a dependency that does not answer becomes an error in bounded time', async () => {
    await using edge = await startEdge({ requestTimeoutMs: 100, invoke: () => new Promise(() => undefined) });
    const { status, text } = await post(edge);
    expect(status).toBe(503);
    expect(JSON.parse(text)).toMatchObject({ __type: 'DependencyTimeoutException' });
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

test('who sent more than is answered waits, on a new connection too, until it is read', async () => {
  const heedMs = 1_500;
  await using edge = await startEdge({ limits: { heedMs } });
  const request = (name: string): string =>
    `POST / HTTP/1.1\r\nHost: k\r\nX-Amz-Target: TrentService.${name}\r\nContent-Length: 0\r\n\r\n`;
  const askAlone = async (name: string): Promise<number> => {
    const startedAt = performance.now();
    const socket = createConnection(edge.port, '127.0.0.1', () => socket.write(request(name)));
    const judged = expect.objectContaining({ operation: name }) as object;
    await vi.waitFor(() => expect(edge.refusals).toContainEqual(judged), { timeout: 20_000, interval: 5 });
    socket.destroy();
    return performance.now() - startedAt;
  };
  for (let i = 0; i < 2; i++) {
    // So short that one read brings more of them than may wait.
    const flood = createConnection(edge.port, '127.0.0.1', () =>
      flood.write('GET / HTTP/1.1\r\nHost:\r\n\r\n'.repeat(3_000)),
    );
    flood.on('error', () => undefined);
    flood.resume();
    await new Promise((resolve) => flood.once('close', resolve));
  }
  expect(await askAlone('DescribeKey')).toBeGreaterThan(heedMs - 50);
});

test('nothing is done while it could not be recorded: not for who is known, not for strangers, over no protocol', async () => {
  let isAuditFull = true;
  await using edge = await startEdge({ isAuditFull: () => isAuditFull });
  const internal = { name: 'KMSInternalException', $metadata: { httpStatusCode: 500 } };
  await expect(kmsClient(edge).send(new ListKeysCommand())).rejects.toMatchObject(internal);
  const wrong = { credentials: { ...credentials, secretAccessKey: 'wrong' } };
  await expect(kmsClient(edge, wrong).send(new ListKeysCommand())).rejects.toMatchObject(internal);
  const sts = new STSClient({ endpoint: edge.endpoint, region: 'us-east-1', credentials, maxAttempts: 1 });
  await expect(sts.send(new GetCallerIdentityCommand())).rejects.toMatchObject({ $metadata: { httpStatusCode: 500 } });
  expect([edge.invocations, edge.refusals]).toEqual([[], []]);
  isAuditFull = false;
  await kmsClient(edge).send(new ListKeysCommand());
});

describe('behind a trusted proxy', () => {
  const trustedProxies = ['127.0.0.0/8'];
  const forwarded = (...addresses: string[]) => ({ headers: { 'x-forwarded-for': addresses.join(', ') } });

  test('a request is of whom the proxy names; of anybody else, of whoever is connected', async () => {
    await using trusting = await startEdge({ trustedProxies });
    await using plain = await startEdge();
    for (const edge of [trusting, plain]) await post(edge, forwarded('192.0.2.1', '203.0.113.9'));
    const sourcesOf = ({ invocations }: typeof plain) => invocations.map(({ call }) => call.sourceIpAddress);
    expect(sourcesOf(trusting)).toEqual(['203.0.113.9']);
    expect(sourcesOf(plain)).toEqual([expect.stringContaining('127.0.0.1')]);
  });

  test('who sends wrong requests without end waits for answers, and nobody else behind the proxy does', async () => {
    await using edge = await startEdge({ trustedProxies });
    const answered: string[] = [];
    const wrong = async (address: string) => {
      await post(edge, { ...forwarded(address), unsigned: true });
      answered.push(address);
    };
    const many = Array.from({ length: 200 }, () => wrong('203.0.113.9'));
    await vi.waitFor(() => expect(answered.length).toBeGreaterThanOrEqual(100), { timeout: 60_000 });
    await wrong('203.0.113.10');
    await post(edge, forwarded('203.0.113.9'));
    answered.push('signed');
    await Promise.all(many);
    expect(answered).toHaveLength(202);
    expect(answered.slice(-10)).toEqual(Array(10).fill('203.0.113.9'));
  });
});
