import { readFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  ConnectCustomKeyStore,
  CreateCustomKeyStore,
  DeleteCustomKeyStore,
  DescribeCustomKeyStores,
  DisconnectCustomKeyStore,
  UpdateCustomKeyStore,
} from '@keyfleet/shared/api/custom-key-stores';
import { CreateKey, DescribeKey, ScheduleKeyDeletion } from '@keyfleet/shared/api/keys';
import { GenerateRandom } from '@keyfleet/shared/api/random';
import { TestAuthority } from '@keyfleet/test-support/certificates';
import {
  connectedStore,
  credential,
  externalKey,
  externalKeyStore,
} from '@keyfleet/test-support/fakes/external-key-store';
import { FakeFrontend, user } from '@keyfleet/test-support/fakes/frontend';
import { FakeXksProxy } from '@keyfleet/test-support/fakes/xks-proxy';
import { beforeEach, describe, expect, test } from 'vitest';

let frontend: FakeFrontend;
let proxy: FakeXksProxy;
beforeEach(() => {
  frontend = new FakeFrontend();
  proxy = new FakeXksProxy();
  frontend.answerOfProxy = async (call) => proxy.answer(call);
});

const create = (name: string, overrides: object = {}) =>
  frontend.call(CreateCustomKeyStore, externalKeyStore(name, overrides));
const stateOf = async (id: string | undefined) =>
  (await frontend.call(DescribeCustomKeyStores, { CustomKeyStoreId: id })).CustomKeyStores![0]!;

test('a store is created disconnected, once its proxy answers, and described without its secret', async () => {
  const { CustomKeyStoreId: id } = await create('one');
  expect(id).toMatch(/^cks-[0-9a-f]{17}$/);
  expect(proxy.requests).toEqual([
    {
      path: '/one/kms/xks/v1/health',
      body: { requestMetadata: { kmsRequestId: 'request-1', kmsOperation: 'CreateCustomKeyStore' } },
    },
  ]);
  expect(await frontend.call(DescribeCustomKeyStores, {})).toEqual({
    CustomKeyStores: [
      {
        CustomKeyStoreId: id,
        CustomKeyStoreName: 'one',
        ConnectionState: 'DISCONNECTED',
        CreationDate: frontend.now,
        CustomKeyStoreType: 'EXTERNAL_KEY_STORE',
        XksProxyConfiguration: {
          Connectivity: 'PUBLIC_ENDPOINT',
          AccessKeyId: credential.AccessKeyId,
          UriEndpoint: 'https://xks.example.com',
          UriPath: '/one/kms/xks/v1',
        },
      },
    ],
    Truncated: false,
  });
});

test('the audit log has neither half of the credential', async () => {
  const { CustomKeyStoreId } = await create('one');
  await frontend.call(UpdateCustomKeyStore, { CustomKeyStoreId, XksProxyAuthenticationCredential: credential });
  const log = JSON.stringify(frontend.audit);
  expect(log).toContain('"xksProxyUriEndpoint":"https://xks.example.com"');
  for (const secret of Object.values(credential)) expect(log).not.toContain(secret);
});

test('names and addresses are of one store each, and ten stores are all there are', async () => {
  await create('one');
  expect(await frontend.refusal(CreateCustomKeyStore, externalKeyStore('one'))).toMatch(/^CustomKeyStoreNameInUse/);
  const same = externalKeyStore('two', { XksProxyUriPath: '/one/kms/xks/v1' });
  expect(await frontend.refusal(CreateCustomKeyStore, same)).toMatch(/^XksProxyUriInUseException/);
  for (let i = 2; i <= 10; i++) await create(`store-${i}`);
  expect(await frontend.refusal(CreateCustomKeyStore, externalKeyStore('eleven'))).toMatch(/^LimitExceeded/);
});

test('stores are listed in pages, and a marker of another list is none', async () => {
  for (const name of ['a', 'b', 'c']) await create(name);
  const first = await frontend.call(DescribeCustomKeyStores, { Limit: 2 });
  expect([first.CustomKeyStores?.length, first.Truncated]).toEqual([2, true]);
  const rest = await frontend.call(DescribeCustomKeyStores, { Limit: 2, Marker: first.NextMarker });
  expect(rest.CustomKeyStores?.map(({ CustomKeyStoreName }) => CustomKeyStoreName)).toEqual(['c']);
  const refusal = await frontend.refusal(DescribeCustomKeyStores, { Marker: 'nonsense' });
  expect(refusal).toBe('InvalidMarkerException: The marker is not valid.');
});

test.each([
  [{ CustomKeyStoreType: undefined }, /^ValidationException: CloudHsmClusterId is required/],
  [
    { CustomKeyStoreType: undefined, CloudHsmClusterId: 'cluster-1234abcdefg' },
    /^CloudHsmClusterNotFoundException|^ValidationException/,
  ],
  [{ XksProxyUriPath: undefined }, /^ValidationException: XksProxyUriEndpoint and XksProxyUriPath is required/],
  [{ XksProxyAuthenticationCredential: undefined }, /^ValidationException: XksProxyAuthenticationCredential/],
  [{ XksProxyConnectivity: undefined }, /^ValidationException: XksProxyConnectivity/],
  [{ KeyStorePassword: 'kmsPswd1' }, /^ValidationException: KeyStorePassword is not valid/],
  [
    {
      XksProxyConnectivity: 'VPC_ENDPOINT_SERVICE',
      XksProxyVpcEndpointServiceName: 'com.amazonaws.vpce.us-east-1.vpce-svc-example1',
    },
    /^XksProxyVpcEndpointServiceNotFoundException/,
  ],
  [{ XksProxyUriEndpoint: 'http://xks.example.com' }, /^ValidationException/],
])('a request with %j is refused', async (overrides, refusal) => {
  expect(await frontend.refusal(CreateCustomKeyStore, externalKeyStore('x', overrides))).toMatch(refusal);
});

const answers =
  (errorName: string, status = 400) =>
  async () => ({
    status,
    body: Buffer.from(JSON.stringify({ errorName })),
  });

test.each([
  ['AuthenticationFailedException', 'XksProxyIncorrectAuthenticationCredentialException', 'INVALID_CREDENTIALS'],
  ['InvalidUriPathException', 'XksProxyInvalidConfigurationException', 'XKS_PROXY_INVALID_CONFIGURATION'],
  ['ThrottlingException', 'XksProxyUriUnreachableException', 'XKS_PROXY_NOT_REACHABLE'],
  ['InternalException', 'XksProxyInvalidResponseException', 'INTERNAL_ERROR'],
  ['something else', 'XksProxyInvalidResponseException', 'XKS_PROXY_INVALID_RESPONSE'],
])('a proxy that answers %s is refused with %s, and fails to connect with %s', async (name, code, connectionError) => {
  const { CustomKeyStoreId: id } = await create('one');
  frontend.answerOfProxy = answers(name);
  expect(await frontend.refusal(CreateCustomKeyStore, externalKeyStore('two'))).toMatch(new RegExp(`^${code}: `));
  await frontend.call(ConnectCustomKeyStore, { CustomKeyStoreId: id });
  expect(await stateOf(id)).toMatchObject({ ConnectionState: 'FAILED', ConnectionErrorCode: connectionError });
});

test('a proxy none of whose HSMs is available is out of reach', async () => {
  proxy.health = 'UNAVAILABLE';
  expect(await frontend.refusal(CreateCustomKeyStore, externalKeyStore('one'))).toMatch(/^XksProxyUriUnreachable/);
});

test('a store is CONNECTING while its proxy is asked, and FAILED if that fails', async () => {
  const { CustomKeyStoreId } = await create('one');
  const asked = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<void>();
  frontend.answerOfProxy = async (call) => {
    asked.resolve();
    await answer.promise;
    return proxy.answer(call);
  };
  const connecting = frontend.call(ConnectCustomKeyStore, { CustomKeyStoreId });
  await asked.promise;
  expect(await stateOf(CustomKeyStoreId)).toMatchObject({ ConnectionState: 'CONNECTING' });
  const wrong = /^CustomKeyStoreInvalidStateException/;
  expect(await frontend.refusal(DeleteCustomKeyStore, { CustomKeyStoreId })).toMatch(wrong);
  const renamed = { CustomKeyStoreId, NewCustomKeyStoreName: 'two' };
  expect(await frontend.refusal(UpdateCustomKeyStore, renamed)).toMatch(wrong);
  // The state it would stay in if the process connecting it died now.
  const given = frontend.now;
  frontend.now += 600_000;
  const failed = { ConnectionState: 'FAILED', ConnectionErrorCode: 'INTERNAL_ERROR' };
  expect(await stateOf(CustomKeyStoreId)).toMatchObject(failed);
  frontend.now = given;
  answer.resolve();
  await connecting;
  expect(await stateOf(CustomKeyStoreId)).toMatchObject({ ConnectionState: 'CONNECTED' });
});

/** A connected store, and when its cluster was told to log out; `done` lets it be. */
async function connectedClusterStore() {
  const directory = await mkdtempDisposable(join(tmpdir(), 'keyfleet-cluster-'));
  await using _ = directory;
  const { caFile } = await TestAuthority.make(directory.path, 'cluster');
  const [asked, done] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const execute = frontend.hsm.execute.bind(frontend.hsm);
  Object.assign(frontend.hsm, {
    execute: async (...args: Parameters<typeof execute>) =>
      ['CheckCluster', 'ConnectCluster'].includes(args[0]) ? {} : execute(...args),
    executeEverywhere: async (command: string) => {
      expect(command).toBe('DisconnectCluster');
      asked.resolve();
      await done.promise;
    },
  });
  const { CustomKeyStoreId: id } = await frontend.call(CreateCustomKeyStore, {
    CustomKeyStoreName: 'hsm',
    CloudHsmClusterId: 'cluster-abcdefghijk',
    KeyStorePassword: 'kmsPswd1',
    TrustAnchorCertificate: readFileSync(caFile, 'utf8'),
  });
  await frontend.call(ConnectCustomKeyStore, { CustomKeyStoreId: id });
  return { id: id!, asked: asked.promise, done };
}

test('a CloudHSM store is DISCONNECTING until HSMs have logged out, and refuses everything else meanwhile', async () => {
  const { id, asked, done } = await connectedClusterStore();
  const CustomKeyStoreId = id;
  const disconnecting = frontend.call(DisconnectCustomKeyStore, { CustomKeyStoreId }, { requestId: 'disconnects' });
  await asked;
  expect(await stateOf(id)).toMatchObject({ ConnectionState: 'DISCONNECTING' });
  const wrong = /^CustomKeyStoreInvalidStateException: .* is DISCONNECTING/;
  for (const operation of [ConnectCustomKeyStore, DisconnectCustomKeyStore, DeleteCustomKeyStore]) {
    expect(await frontend.refusal(operation, { CustomKeyStoreId })).toMatch(wrong);
  }
  const refused = [
    frontend.refusal(UpdateCustomKeyStore, { CustomKeyStoreId, KeyStorePassword: 'kmsPswd2' }),
    frontend.refusal(CreateKey, { Origin: 'AWS_CLOUDHSM', CustomKeyStoreId }),
    frontend.refusal(GenerateRandom, { NumberOfBytes: 8, CustomKeyStoreId }),
  ];
  for (const refusal of await Promise.all(refused)) expect(refusal).toMatch(wrong);
  // The state it would end in if the process disconnecting it died now.
  const given = frontend.now;
  frontend.now += 600_000;
  expect(await stateOf(id)).toMatchObject({ ConnectionState: 'DISCONNECTED' });
  frontend.now = given;
  done.resolve();
  await disconnecting;
  expect(await stateOf(id)).toMatchObject({ ConnectionState: 'DISCONNECTED' });
});

test('a store that failed to connect is disconnected before it is connected again', async () => {
  const { CustomKeyStoreId } = await create('one');
  frontend.answerOfProxy = answers('ThrottlingException', 429);
  await frontend.call(ConnectCustomKeyStore, { CustomKeyStoreId });
  const wrong = /^CustomKeyStoreInvalidStateException/;
  for (const operation of [ConnectCustomKeyStore, DeleteCustomKeyStore]) {
    expect(await frontend.refusal(operation, { CustomKeyStoreId })).toMatch(wrong);
  }
  frontend.answerOfProxy = async (call) => proxy.answer(call);
  await frontend.call(DisconnectCustomKeyStore, { CustomKeyStoreId });
  expect(await frontend.refusal(DisconnectCustomKeyStore, { CustomKeyStoreId })).toMatch(wrong);
  await frontend.call(ConnectCustomKeyStore, { CustomKeyStoreId });
  const { ConnectionState, ConnectionErrorCode } = await stateOf(CustomKeyStoreId);
  expect([ConnectionState, ConnectionErrorCode]).toEqual(['CONNECTED', undefined]);
});

test('while it is connected, a store takes another name, path and credential, and no other endpoint', async () => {
  const id = await connectedStore(frontend);
  const next = { AccessKeyId: 'Z'.repeat(20), RawSecretAccessKey: 'q'.repeat(43) };
  await frontend.call(UpdateCustomKeyStore, {
    CustomKeyStoreId: id,
    NewCustomKeyStoreName: 'renamed',
    XksProxyUriPath: '/new/kms/xks/v1',
    XksProxyAuthenticationCredential: next,
  });
  expect(proxy.requests.at(-1)?.path).toBe('/new/kms/xks/v1/health');
  expect(await stateOf(id)).toMatchObject({
    CustomKeyStoreName: 'renamed',
    ConnectionState: 'CONNECTED',
    XksProxyConfiguration: { AccessKeyId: next.AccessKeyId, UriPath: '/new/kms/xks/v1' },
  });
  const elsewhere = { CustomKeyStoreId: id, XksProxyUriEndpoint: 'https://other.example.com' };
  expect(await frontend.refusal(UpdateCustomKeyStore, elsewhere)).toMatch(/^CustomKeyStoreInvalidStateException/);
  await frontend.call(DisconnectCustomKeyStore, { CustomKeyStoreId: id });
  await frontend.call(UpdateCustomKeyStore, elsewhere);
  expect((await stateOf(id)).XksProxyConfiguration?.UriEndpoint).toBe('https://other.example.com');
});

test('a store is deleted when it is disconnected and has no keys', async () => {
  const id = await connectedStore(frontend);
  const { KeyId } = await externalKey(frontend, id);
  expect(await frontend.refusal(DeleteCustomKeyStore, { CustomKeyStoreId: id })).toMatch(/^CustomKeyStoreInvalidState/);
  await frontend.call(DisconnectCustomKeyStore, { CustomKeyStoreId: id });
  expect(await frontend.refusal(DeleteCustomKeyStore, { CustomKeyStoreId: id })).toMatch(/^CustomKeyStoreHasCMKs/);
  await frontend.call(ScheduleKeyDeletion, { KeyId });
  expect((await frontend.call(DescribeKey, { KeyId })).KeyMetadata?.KeyState).toBe('PendingDeletion');
  const key = await frontend.store.findKey('us-east-1', KeyId);
  await frontend.store.deleteKey(key!, { id: 'a', text: '{}' });
  await frontend.call(DeleteCustomKeyStore, { CustomKeyStoreId: id });
  expect(await frontend.call(DescribeCustomKeyStores, {})).toEqual({ CustomKeyStores: [], Truncated: false });
});

describe('who asks', () => {
  const operations = [
    ConnectCustomKeyStore,
    DeleteCustomKeyStore,
    DescribeCustomKeyStores,
    DisconnectCustomKeyStore,
    UpdateCustomKeyStore,
  ];

  test('of a store that is not there hears so', async () => {
    const notFound = 'CustomKeyStoreNotFoundException: Custom key store cks-1 does not exist.';
    for (const operation of operations) {
      expect(await frontend.refusal(operation, { CustomKeyStoreId: 'cks-1' })).toBe(notFound);
    }
  });

  test('and may not is refused, and another account sees no store', async () => {
    const id = await connectedStore(frontend);
    const nobody = user('bob', { policies: [] });
    for (const operation of operations) {
      const refusal = await frontend.refusal(operation, { CustomKeyStoreId: id }, { caller: nobody });
      expect(refusal).toMatch(/^AccessDeniedException/);
    }
    const other = { caller: user('eve', { accountId: '999999999999' }) };
    expect(await frontend.call(DescribeCustomKeyStores, {}, other)).toMatchObject({ CustomKeyStores: [] });
    expect(await frontend.refusal(DisconnectCustomKeyStore, { CustomKeyStoreId: id }, other)).toMatch(/NotFound/);
  });
});
