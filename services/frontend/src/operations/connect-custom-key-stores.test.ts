import { readFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  ConnectCustomKeyStore,
  CreateCustomKeyStore,
  DeleteCustomKeyStore,
  DisconnectCustomKeyStore,
  UpdateCustomKeyStore,
} from '@keyfleet/shared/api/custom-key-stores';
import { CreateKey } from '@keyfleet/shared/api/keys';
import { GenerateRandom } from '@keyfleet/shared/api/random';
import { TestAuthority } from '@keyfleet/test-support/certificates';
import {
  createStore,
  externalKeyStore,
  newFrontendWithProxy,
  stateOf,
} from '@keyfleet/test-support/fakes/external-key-store';
import type { FakeFrontend } from '@keyfleet/test-support/fakes/frontend';
import type { FakeXksProxy } from '@keyfleet/test-support/fakes/xks-proxy';
import { beforeEach, expect, test } from 'vitest';

let frontend: FakeFrontend;
let proxy: FakeXksProxy;

beforeEach(() => {
  ({ frontend, proxy } = newFrontendWithProxy());
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
  const { CustomKeyStoreId: id } = await createStore(frontend, 'one');
  frontend.answerOfProxy = answers(name);
  expect(await frontend.refusal(CreateCustomKeyStore, externalKeyStore('two'))).toMatch(new RegExp(`^${code}: `));
  await frontend.call(ConnectCustomKeyStore, { CustomKeyStoreId: id });
  expect(await stateOf(frontend, id)).toMatchObject({
    ConnectionState: 'FAILED',
    ConnectionErrorCode: connectionError,
  });
});

test('a proxy none of whose HSMs is available is out of reach', async () => {
  proxy.health = 'UNAVAILABLE';
  expect(await frontend.refusal(CreateCustomKeyStore, externalKeyStore('one'))).toMatch(/^XksProxyUriUnreachable/);
});

test('a store is CONNECTING while its proxy is asked, and FAILED if that fails', async () => {
  const { CustomKeyStoreId } = await createStore(frontend, 'one');
  const asked = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<void>();
  frontend.answerOfProxy = async (call) => {
    asked.resolve();
    await answer.promise;
    return proxy.answer(call);
  };
  const connecting = frontend.call(ConnectCustomKeyStore, { CustomKeyStoreId });
  await asked.promise;
  expect(await stateOf(frontend, CustomKeyStoreId)).toMatchObject({ ConnectionState: 'CONNECTING' });
  const wrong = /^CustomKeyStoreInvalidStateException/;
  expect(await frontend.refusal(DeleteCustomKeyStore, { CustomKeyStoreId })).toMatch(wrong);
  const renamed = { CustomKeyStoreId, NewCustomKeyStoreName: 'two' };
  expect(await frontend.refusal(UpdateCustomKeyStore, renamed)).toMatch(wrong);
  // The state it would stay in if the process connecting it died now.
  const given = frontend.now;
  frontend.now += 600_000;
  const failed = { ConnectionState: 'FAILED', ConnectionErrorCode: 'INTERNAL_ERROR' };
  expect(await stateOf(frontend, CustomKeyStoreId)).toMatchObject(failed);
  frontend.now = given;
  answer.resolve();
  await connecting;
  expect(await stateOf(frontend, CustomKeyStoreId)).toMatchObject({ ConnectionState: 'CONNECTED' });
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
  expect(await stateOf(frontend, id)).toMatchObject({ ConnectionState: 'DISCONNECTING' });
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
  expect(await stateOf(frontend, id)).toMatchObject({ ConnectionState: 'DISCONNECTED' });
  frontend.now = given;
  done.resolve();
  await disconnecting;
  expect(await stateOf(frontend, id)).toMatchObject({ ConnectionState: 'DISCONNECTED' });
});

test('a store that failed to connect is disconnected before it is connected again', async () => {
  const { CustomKeyStoreId } = await createStore(frontend, 'one');
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
  const { ConnectionState, ConnectionErrorCode } = await stateOf(frontend, CustomKeyStoreId);
  expect([ConnectionState, ConnectionErrorCode]).toEqual(['CONNECTED', undefined]);
});
