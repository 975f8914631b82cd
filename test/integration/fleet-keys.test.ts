import { createPrivateKey, createSecretKey, generateKeyPairSync, hkdfSync, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { IAM } from '@aws-sdk/client-iam';
import { KMS } from '@aws-sdk/client-kms';
import { STS } from '@aws-sdk/client-sts';
import { DomainManagerClient } from '@keyfleet/cli/domain-manager-client';
import { openHostPool } from '@keyfleet/cli/host-pool';
import { loadTrustAnchor } from '@keyfleet/cli/public-files';
import type { WorkerPool } from '@keyfleet/frontend/hsm/pool';
import { readSession, sealSession } from '@keyfleet/frontend/identities/sts-session-token';
import { CredentialToken } from '@keyfleet/hsm-worker/boundary/tokens/stored-token';
import { Writer } from '@keyfleet/shared/encoding/bytes';
import { boundTo, newProposal, signProposal } from '@keyfleet/shared/domain/proposal';
import { plaintextPeers } from '@keyfleet/shared/grpc/peers';
import { encodedPublicKey } from '@keyfleet/shared/domain/signature';
import { cliOptionsOf, runKeyfleet } from '@keyfleet/test-support/cli';
import { startTestCluster, type TestCluster } from '@keyfleet/test-support/cluster';
import type { Change } from '@keyfleet/test-support/domain';
import { eventually } from '@keyfleet/test-support/fleet';
import { redisOf } from '@keyfleet/test-support/stored-tokens';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { identities } from '../../tools/home.ts';

// A frontend that turned against its fleet, with everything that it ever had, and Redis in its hands.
const SECRET = 'keyfleet:frontends';
let cluster: TestCluster;
let manager: DomainManagerClient;
let redis: Redis;
let former: WorkerPool;
const resources = new AsyncDisposableStack();
beforeAll(async () => {
  cluster = resources.use(await startTestCluster({ workers: 3, backupHorizonMs: 1 }));
  manager = resources.use(
    new DomainManagerClient(`127.0.0.1:${cluster.ports.domainManager}`, plaintextPeers.credentials),
  );
  redis = resources.adopt(redisOf(cluster), (client) => client.disconnect());
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  const file = cluster.home.in('former.pem');
  writeFileSync(file, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  const operator = { operatorId: 'former', role: 'service-host' as const, signingKey: encodedPublicKey(privateKey) };
  await change({ name: 'ModifyOperators', body: { admit: [operator], remove: [] } });
  const anchor = loadTrustAnchor(cluster.home.trustAnchorFile);
  former = resources.use(
    await openHostPool({ host: 'former', 'host-key': file }, { client: manager, anchor, ...plaintextPeers }, redis),
  );
});
afterAll(() => resources.disposeAsync());

async function change(what: Change): Promise<void> {
  const anchor = loadTrustAnchor(cluster.home.trustAnchorFile);
  const privateKey = createPrivateKey(readFileSync(cluster.home.keyFile(identities.operator)));
  const domain = await manager.getDomain(anchor);
  const bound = boundTo(domain, domain.state.members[0]!.memberId);
  const proposal = signProposal(newProposal({ ...bound, ...what }), { operatorId: identities.operator, privateKey });
  await manager.awaitDone((await manager.propose(proposal)).proposalId, anchor);
}

interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

function clientsOf(credentials: Credentials) {
  const settings = { endpoint: cluster.endpoint, credentials, region: 'us-east-1', maxAttempts: 1 };
  return { iam: new IAM(settings), kms: new KMS(settings), sts: new STS(settings) };
}

async function temporary(): Promise<Required<Credentials>> {
  const { Credentials } = await clientsOf(cluster.credentials).sts.getSessionToken({});
  const { AccessKeyId, SecretAccessKey, SessionToken } = Credentials!;
  return { accessKeyId: AccessKeyId!, secretAccessKey: SecretAccessKey!, sessionToken: SessionToken! };
}

/** What the former frontend has: the fleet's key of that domain key. */
async function keyOf(name: string, info: string, domainKeyId: string) {
  const token = await redis.hgetBuffer(`kf:fleet-keys:{${name}}`, domainKeyId);
  const sealedFor = { accessKeyId: `keyfleet-${name}/${domainKeyId}`, principal: SECRET };
  const { secretAccessKey } = await former.execute('OpenCredential', { ...sealedFor, token: token! }, soon());
  return { domainKeyId, key: createSecretKey(Buffer.from(hkdfSync('sha256', secretAccessKey, '', info, 32))) };
}

const soon = () => Date.now() + 3_000;
const isTaken = (credentials: Credentials) =>
  clientsOf(credentials)
    .kms.listKeys({})
    .then(
      () => true,
      (error: Error) => {
        expect(error.name).toBe('UnrecognizedClientException');
        return false;
      },
    );

describe('a frontend that was removed', () => {
  test('makes no credentials any more, at once, and nothing that customers send fails meanwhile', async () => {
    const { iam, kms, sts } = clientsOf(cluster.credentials);
    const mine = await temporary();
    expect(await isTaken(mine)).toBe(true);
    const { domainKeyId } = readSession(mine.sessionToken)!;
    const stolen = await keyOf('session-token-key', 'keyfleet/sts-session-token-key/1', domainKeyId);
    const { User } = await iam.getUser({});
    const now = Date.now();
    const forge = (id: string): Credentials => {
      const content = {
        accessKeyId: `ASIA${randomBytes(8).toString('hex').toUpperCase()}`,
        secretAccessKey: 'of my choice',
        accountId: User!.Arn!.split(':')[4]!,
        kind: 'user' as const,
        name: User!.UserName!,
        id: User!.UserId!,
        issuedAt: now,
        expiresAt: now + 36 * 3_600_000,
        policies: [],
        tags: [],
        transitiveTagKeys: [],
      };
      const sessionToken = sealSession({ ...stolen, domainKeyId: id }, content, randomBytes(32));
      return { ...content, sessionToken };
    };
    const forged = forge(domainKeyId);
    // It is known to the frontend when the removal comes.
    expect(await isTaken(forged)).toBe(true);

    await Promise.all([1, 2].map(() => kms.createKey({})));
    const { NextMarker } = await kms.listKeys({ Limit: 1 });
    let isOver = false;
    const customers = [0, 1, 2].map(async () => {
      for (let made = 0; ; made++) {
        await sts.getCallerIdentity({});
        await kms.listKeys({ Limit: 1, Marker: NextMarker! });
        await kms.generateRandom({ NumberOfBytes: 1 });
        if (isOver) return made;
      }
    });
    await change({ name: 'ModifyOperators', body: { admit: [], remove: ['former'] } });
    await eventually('its credentials are refused', async () => !(await isTaken(forged)), 20_000);
    expect(await isTaken(forge(domainKeyId))).toBe(false);
    expect(await isTaken(mine)).toBe(false);

    const next = await temporary();
    expect(await isTaken(next)).toBe(true);
    const { domainKeyId: id } = readSession(next.sessionToken)!;
    expect(id).not.toBe(domainKeyId);
    expect(await isTaken(forge(id))).toBe(false);
    isOver = true;
    for (const made of await Promise.all(customers)) expect(made).toBeGreaterThan(0);

    await expect(keyOf('session-token-key', 'keyfleet/sts-session-token-key/1', id)).rejects.toThrow();
    await eventually('what it knew is gone', async () => (await redis.hlen('kf:fleet-keys:{session-token-key}')) === 1);
    await cluster.kill('frontend');
    await cluster.restart('frontend');
    expect(await isTaken(next)).toBe(true);
    expect(await isTaken(forge(domainKeyId))).toBe(false);
  });
});

test('temporary credentials outlive a rotation of the domain keys', async () => {
  const before = await temporary();
  await change({ name: 'RotateDomainKeys', body: {} });
  let after = await temporary();
  await eventually('new ones are made under the new domain key', async () => {
    after = await temporary();
    return readSession(after.sessionToken)!.domainKeyId !== readSession(before.sessionToken)!.domainKeyId;
  });
  await cluster.kill('frontend');
  await cluster.restart('frontend');
  for (const one of [before, after]) expect(await isTaken(one)).toBe(true);
});

test('what somebody writes in the place of the keys ends nothing at a frontend that starts', async () => {
  const { domainKeyId } = readSession((await temporary()).sessionToken)!;
  const { kms } = clientsOf(cluster.credentials);
  await Promise.all([1, 2].map(() => kms.createKey({})));
  const { domain } = loadTrustAnchor(cluster.home.trustAnchorFile);
  await cluster.kill('frontend');
  for (const name of ['session-token-key', 'marker-key']) {
    const accessKeyId = `keyfleet-${name}/${domainKeyId}`;
    const token = new Writer();
    token.bytes(CredentialToken.encode({ domain, domainKeyId, accessKeyId, principal: SECRET }));
    token.raw(randomBytes(12 + 40 + 16));
    await redis.hset(`kf:fleet-keys:{${name}}`, domainKeyId, token.finish());
  }
  const { domain: inDomain, redis: at, host } = cliOptionsOf(cluster);
  const doctor = async () => (await runKeyfleet('doctor', '--deep', ...host, ...inDomain, ...at)).out;
  expect(await doctor()).toMatch(
    new RegExp(`NOT WELL +keys that frontends share: .*kf:fleet-keys:{marker-key} ${domainKeyId} does not open`),
  );
  await cluster.restart('frontend');
  expect(await isTaken(await temporary())).toBe(true);
  const { NextMarker: Marker } = await kms.listKeys({ Limit: 1 });
  expect((await kms.listKeys({ Limit: 1, Marker: Marker! })).Keys).toHaveLength(1);
  expect(readFileSync(cluster.home.in('log', 'frontend.log'), 'utf8')).toContain(
    'was none, and was dropped from Redis',
  );
  expect(await doctor()).toMatch(/well +keys that frontends share: all \d+ open/);
});

test('a member that was removed makes none either', async () => {
  const mine = await temporary();
  await change({ name: 'ModifyMembers', body: { admit: [], remove: ['hsm-worker-2'] } });
  await eventually('credentials from before are refused', async () => !(await isTaken(mine)), 20_000);
  expect(await isTaken(await temporary())).toBe(true);
});

test('the doctor says that a former frontend has the record key, until operators replace it', async () => {
  const { domain, redis, host } = cliOptionsOf(cluster);
  const doctor = async () => (await runKeyfleet('doctor', ...domain, ...redis)).out;
  expect(await doctor()).toMatch(
    /NOT WELL +record key: record key 1 was made before generation \d+.*rotate-record-key/,
  );
  expect(
    (await runKeyfleet('store', 'rotate-record-key', '--newest', '1', '--made-in', '1', ...host, ...domain, ...redis))
      .exitCode,
  ).toBe(0);
  expect(await doctor()).toMatch(/well +record key: 2; nobody has left.* It says so itself: --deep has it opened/);
  const { out } = await runKeyfleet('doctor', '--deep', ...host, ...domain, ...redis);
  expect(out).toMatch(/well +opened record key: 2; nobody has left the domain since it was made$/m);
  expect(await isTaken(cluster.credentials)).toBe(true);
});

test('the domain key of a removal is dropped once workers open a record key from after it, whatever its token says', async () => {
  const { domain, redis: at, host, signer } = cliOptionsOf(cluster);
  await change({ name: 'RotateDomainKeys', body: {} });
  const drop = (...options: readonly string[]) =>
    runKeyfleet('domain', 'drop', 'all-old', ...domain, ...signer, ...at, ...options);
  await eventually('all else is resealed', async () => !(await drop()).notes.includes('in Redis are'));
  expect((await drop()).notes).toMatch(/only domain key .* still shows that somebody left.*give its --host/);
  const place = 'kf:secret:{record-key-2}';
  const token = (await redis.getBuffer(place))!;
  await redis.set(place, Buffer.concat([token.subarray(0, -16), randomBytes(16)]));
  expect((await drop(...host)).notes).toContain('record key 2 does not open');
  await redis.set(place, token);
  expect((await drop(...host)).out).toContain('Done: the domain is at generation');
});
