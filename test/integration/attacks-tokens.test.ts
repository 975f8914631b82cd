import { plaintextPeers } from '@keyfleet/shared/grpc/peers';
import { CreateKeyCommand, EncryptCommand, GetPublicKeyCommand, ListKeysCommand } from '@aws-sdk/client-kms';
import { DomainManagerClient } from '@keyfleet/cli/domain-manager-client';
import { kmsClient } from '@keyfleet/test-support/aws-client';
import { cliOptionsOf, keyfleetJson, runKeyfleet } from '@keyfleet/test-support/cli';
import { startTestCluster, type TestCluster } from '@keyfleet/test-support/cluster';
import { rotation, signedBy, type TestOperator } from '@keyfleet/test-support/domain';
import { eventually } from '@keyfleet/test-support/fleet';
import { type SecondFrontend, startSecondFrontend } from '@keyfleet/test-support/second-frontend';
import { ShowsTokens } from '@keyfleet/test-support/shows-tokens';
import { redisOf } from '@keyfleet/test-support/stored-tokens';
import { wrongKeyPairs } from '@keyfleet/test-support/wrong-key-pairs';
import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readiness } from '@keyfleet/frontend/edge/http';
import { verifyChain } from '@keyfleet/shared/domain/chain';
import { boundTo, type NewDomainChange } from '@keyfleet/shared/domain/proposal';
import { parseToken, withWitness } from '@keyfleet/shared/domain/token';
import { parseTrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import { keySpecs, type KeyUsage } from '@keyfleet/shared/key-specs';
import { tokensAt } from '@keyfleet/shared/stored/names';
import { identities } from '../../tools/home.ts';
import { expect, test } from 'vitest';
import { startGrpcWorker } from '../../services/domain-manager/src/grpc-worker.ts';

const KEYS = 60;
const support = join(import.meta.dirname, '../support');

async function readinessAt(endpoint: string): Promise<Readiness> {
  const { checks } = (await (await fetch(`${endpoint}/readyz`)).json()) as { checks: Readiness };
  return checks;
}

test('a hostile member of three, whose tokens do not open, makes no key and destroys none in a rotation', async () => {
  await using cluster = await startTestCluster({ workers: 3, workerMain: join(support, 'hostile-worker.ts') });
  // A frontend is ready with one worker, and the hostile one is to be among those that it uses.
  const isUsed = async () => (await readinessAt(cluster.endpoint))['hsmWorkers']!.detail === '3 in use';
  await eventually('all workers are used', isUsed);
  const kms = kmsClient(cluster);
  const ids: (string | undefined)[] = [];
  const create = async () => ids.push((await kms.send(new CreateKeyCommand({}))).KeyMetadata!.KeyId);
  await Promise.all(Array.from({ length: KEYS }, create));
  // The hostile one is asked by chance, and all of a turn ask the same.
  await eventually('the hostile member was asked', async () => {
    await create();
    return readFileSync(cluster.home.in('log', 'frontend.log'), 'utf8').includes('an HSM contradicts another');
  });
  const useAll = () =>
    Promise.all(ids.map((KeyId) => kms.send(new EncryptCommand({ KeyId, Plaintext: Buffer.from('x') }))));
  await useAll();

  using client = new DomainManagerClient(`127.0.0.1:${cluster.ports.domainManager}`, plaintextPeers.credentials);
  const { domain, signer } = cliOptionsOf(cluster);
  await runKeyfleet('domain', 'rotate', ...domain, ...signer);
  await eventually('resealing is proved', async () => {
    const { reseal } = await client.status();
    return reseal?.verified === true && (reseal.resealed ?? 0) > KEYS;
  });
  // Workers forget what they opened before: every key comes out of its resealed token.
  await cluster.kill('hsm-worker-2', 'hsm-worker-3');
  await cluster.restart('hsm-worker-2', 'hsm-worker-3');
  await useAll();
  kms.destroy();
});

test('a hostile member of three makes no key pair that loses what is done with it, or that another would encode', async () => {
  await using cluster = await startTestCluster({ workers: 3, workerMain: join(support, 'hostile-maker.ts') });
  const isUsed = async () => (await readinessAt(cluster.endpoint))['hsmWorkers']!.detail === '3 in use';
  await eventually('all workers are used', isUsed);
  const kms = kmsClient(cluster);
  const logOf = (service: string) => readFileSync(cluster.home.in('log', `${service}.log`), 'utf8');
  /** As test/support/hostile-maker.ts says. */
  const wrong = () => [...logOf('hsm-worker-1').matchAll(/^wrong key pair: (.+): ([\w+/=]+)$/gm)];
  const stored: string[] = [];
  for (const [what, [KeySpec]] of Object.entries(wrongKeyPairs)) {
    const [KeyUsage] = Object.keys(keySpecs[KeySpec].usages) as [KeyUsage];
    // It is asked by chance, and makes each kind of its spec in turn.
    await eventually(`it has made ${what}`, async () => {
      const { KeyMetadata } = await kms.send(new CreateKeyCommand({ KeySpec, KeyUsage }));
      const { PublicKey } = await kms.send(new GetPublicKeyCommand({ KeyId: KeyMetadata!.KeyId }));
      stored.push(Buffer.from(PublicKey!).toString('base64'));
      return wrong().some((one) => one[1] === what);
    });
  }
  kms.destroy();
  const made = wrong().map((one) => one[2]);
  expect(stored.filter((one) => made.includes(one))).toEqual([]);
  expect(logOf('frontend').split('an HSM contradicts another').length - 1).toBeGreaterThanOrEqual(made.length);
}, 120_000);

test('a hostile member that finds another secret in access keys shuts nobody out, and its word ends with its removal', async () => {
  await using cluster = await startTestCluster({ workers: 2, workerMain: join(support, 'lying-worker.ts') });
  const asOwner = () => kmsClient(cluster).send(new ListKeysCommand({}));
  const { accessKeyId } = cluster.credentials;
  // As test/support/lying-worker.ts says.
  const credentials = { accessKeyId, secretAccessKey: 'A'.repeat(40) };
  const asLiar = () => kmsClient(cluster, { credentials }).send(new ListKeysCommand({}));
  // Whom the hostile member tells its secret is served, as if it had told the right one. That costs the owner nothing.
  for (let time = 0; time < 5; time++) {
    await asLiar();
    await asOwner();
  }
  const { domain, signer } = cliOptionsOf(cluster);
  await asLiar();
  const removal = await runKeyfleet('member', 'remove', cluster.home.workerNames[0]!, ...domain, ...signer);
  expect(removal).toMatchObject({ exitCode: 0 });
  const isRefused = () =>
    asLiar().then(
      () => false,
      ({ name }: Error) => name === 'InvalidSignatureException',
    );
  // The frontend need not be told: after a minute it reads the access key's record again, which is resealed.
  await eventually('the false secret is nobody’s', isRefused, 20_000);
  await asOwner();
});

/**
 * Has a member make a rotation, and another confirm it, as whoever has an operator's and the scheduler's key can, and
 * gives it to nobody. Resolves to the token without and with that.
 */
async function hiddenRotation(cluster: TestCluster, current: Buffer): Promise<[made: Buffer, witnessed: Buffer]> {
  const { home, ports } = cluster;
  const [memberId] = home.workerNames as [string];
  const signerOf = (operatorId: string) => ({
    operatorId,
    privateKey: createPrivateKey(readFileSync(home.keyFile(operatorId))),
  });
  const anchor = parseTrustAnchor(readFileSync(home.trustAnchorFile, 'utf8'));
  const command = { ...boundTo(verifyChain(anchor, [current]), memberId), ...rotation } as NewDomainChange;
  const proposal = signedBy(command, [signerOf(identities.operator) as TestOperator]);
  const caller = { ...plaintextPeers, domain: anchor.domain, scheduler: signerOf(identities.domainManager) };
  const [maker, witness] = ports.workers.map((port) => `127.0.0.1:${port}`) as [string, string];
  using worker = startGrpcWorker(maker, caller);
  using other = startGrpcWorker(witness, caller);
  const made = await worker.prepare(proposal, current);
  return [made, withWitness(parseToken(made), await other.check(made))];
}

test('one domain-manager stops no frontend with a rotation that it shows to nobody else, nor hides a removal', async () => {
  await using cluster = await startTestCluster({ workers: 3 });
  const { domain, signer } = cliOptionsOf(cluster);
  using redis = Object.assign(redisOf(cluster), { [Symbol.dispose]: () => redis.disconnect() });
  const stored = await redis.lrangeBuffer(tokensAt(cluster.home.facts.domain), 0, -1);
  await using hostile = await ShowsTokens.start();
  const [, hidden] = await hiddenRotation(cluster, stored.at(-1)!);
  hostile.tokens = [...stored, hidden];

  const start = (...domainManagers: readonly string[]) =>
    startSecondFrontend(cluster, cluster.home.in('log', 'audit-2.log'), { domainManagers });
  const servesAt = async ({ endpoint }: SecondFrontend, generation: number, workers: number) => {
    const kms = kmsClient(cluster, { endpoint });
    const isKnown = async () => {
      const { domain: known, hsmWorkers } = await readinessAt(endpoint);
      return known!.detail === `generation ${generation}` && hsmWorkers!.detail === `${workers} in use`;
    };
    await eventually(`generation ${generation} is known`, isKnown);
    await kms.send(new CreateKeyCommand({}));
    kms.destroy();
  };
  const [, other, removed] = cluster.home.workerNames as [string, string, string];
  {
    await using frontend = await start(hostile.address);
    await servesAt(frontend, 1, 3);
    const rotated = await runKeyfleet('domain', 'rotate', '--preparer', other, ...domain, ...signer);
    expect(rotated).toMatchObject({ exitCode: 0 });
    await servesAt(frontend, 2, 3);
    const log = () => readFileSync(cluster.home.in('log', 'frontend-2.log'), 'utf8');
    const problem = 'it showed another domain token 2 than the one that hsm-workers have';
    await eventually('two workers have proven the other one', () => log().includes(problem));
    const removal = await runKeyfleet('member', 'remove', removed, '--preparer', other, ...domain, ...signer);
    expect(removal).toMatchObject({ exitCode: 0 });
    await servesAt(frontend, 3, 2);
  }
  await using frontend = await start(hostile.address, `127.0.0.1:${cluster.ports.domainManager}`);
  await servesAt(frontend, 3, 2);
});

test('a genuine token without its witness counts for nobody, although somebody has put it into Redis', async () => {
  await using cluster = await startTestCluster({ workers: 2 });
  const { domain, signer } = cliOptionsOf(cluster);
  using redis = Object.assign(redisOf(cluster), { [Symbol.dispose]: () => redis.disconnect() });
  const tokens = tokensAt(cluster.home.facts.domain);
  const [made, witnessed] = await hiddenRotation(cluster, (await redis.lrangeBuffer(tokens, -1, -1))[0]!);
  await redis.rpush(tokens, made);
  const log = () => readFileSync(cluster.home.in('log', 'domain-manager.log'), 'utf8');
  const said = () => log().includes('no other member confirms token 2');
  await eventually('the one that runs says so', said);
  await cluster.kill('domain-manager');
  const before = log().length;
  await cluster.restart('domain-manager');
  await eventually('one that starts says so', () => log().slice(before).includes('no other member confirms token 2'));
  const { notes } = await runKeyfleet('domain', 'verify', ...domain);
  expect(notes).toContain('token 2 does not verify: no other member confirms token 2');
  const generation = async () => (await keyfleetJson<{ generation: number }>('domain', 'show', ...domain)).generation;
  expect(await generation()).toBe(1);
  const kms = kmsClient(cluster);
  await kms.send(new CreateKeyCommand({}));
  kms.destroy();

  // As docs/recovery.md says. The same token with its witness is one.
  await redis.rpop(tokens);
  await redis.rpush(tokens, witnessed);
  await eventually('it is taken', async () => (await generation()) === 2);
  expect(await runKeyfleet('domain', 'rotate', ...domain, ...signer)).toMatchObject({ exitCode: 0 });
});
