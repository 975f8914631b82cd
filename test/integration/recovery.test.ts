import { plaintextPeers } from '@keyfleet/shared/grpc/peers';
import { CreateKeyCommand, DecryptCommand, EncryptCommand, SignCommand } from '@aws-sdk/client-kms';
import { DomainManagerClient } from '@keyfleet/cli/domain-manager-client';
import { loadTrustAnchor } from '@keyfleet/cli/public-files';
import { kmsClient } from '@keyfleet/test-support/aws-client';
import { cliOptionsOf, keyfleetJson, runKeyfleet } from '@keyfleet/test-support/cli';
import { startTestCluster } from '@keyfleet/test-support/cluster';
import { eventually } from '@keyfleet/test-support/fleet';
import { readFileSync, rmSync } from 'node:fs';
import { expect, test } from 'vitest';

test('with every volume of every worker lost, an offline member and the stored tokens bring all keys to a fresh fleet', async () => {
  await using cluster = await startTestCluster();
  const { home } = cluster;
  const manager = `127.0.0.1:${cluster.ports.domainManager}`;
  const domain = ['--domain-manager', manager, '--trust-anchor', home.trustAnchorFile];
  const signer = ['--as', 'operator-1', '--key', home.keyFile('operator-1')];
  const safe = home.in('safe-1');
  const kms = kmsClient(cluster);

  const create = ['member', 'create-offline', '--id', 'safe-1', '--out', safe, '--trust-anchor', home.trustAnchorFile];
  const { shares } = await keyfleetJson<{ shares: string[] }>(...create, '--shares', '5', '--threshold', '3');
  const offline = ['--offline-member', safe, '--shares', [shares[4], shares[0], shares[2]].join()];
  expect((await runKeyfleet('member', 'check-offline', ...domain, ...offline)).notes).toContain(
    'not a member of the domain',
  );
  const admitted = await runKeyfleet('member', 'admit', `${safe}.pub.json`, ...domain, ...signer);
  expect(admitted.out).toContain('Done: the domain is at generation 2.');
  const before = readFileSync(safe);
  const checked = await runKeyfleet('member', 'check-offline', ...domain, ...offline);
  expect(readFileSync(safe)).toEqual(before);
  expect(checked.out).toContain('It opens token 2 of the domain and has all its 1 domain keys.');

  // After the member went into its safe: new keys, under a domain key that it has not seen.
  const symmetric = (await kms.send(new CreateKeyCommand({}))).KeyMetadata!.KeyId;
  const signing = (await kms.send(new CreateKeyCommand({ KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' })))
    .KeyMetadata!.KeyId;
  const Plaintext = Buffer.from('what must not be lost');
  const { CiphertextBlob } = await kms.send(new EncryptCommand({ KeyId: symmetric, Plaintext }));
  await runKeyfleet('domain', 'rotate', ...domain, ...signer);
  const late = (await kms.send(new CreateKeyCommand({}))).KeyMetadata!.KeyId;

  const workers = home.workerNames;
  await cluster.kill(...workers);
  for (const name of workers) for (const file of ['identity', 'identity.pub.json']) rmSync(home.in(name, file));
  await cluster.restart(...workers);
  await expect(kms.send(new DecryptCommand({ CiphertextBlob }))).rejects.toThrow();

  const fresh = workers.map((name) => home.in(name, 'identity.pub.json')).join();
  await eventually('the domain-manager sees that all members are lost', async () => {
    using client = new DomainManagerClient(manager, plaintextPeers.credentials);
    return (await client.status()).workers?.every(({ standing }) => standing === 'stranger') ?? false;
  });
  const admission = ['member', 'admit', fresh, '--remove', workers.join(), ...domain, ...signer];
  expect((await runKeyfleet(...admission)).notes).toContain('name your offline member with --preparer');
  const bySafe = [...admission, '--preparer', 'safe-1'];
  expect((await runKeyfleet(...bySafe)).notes).toContain('If all that have them are lost, add --unwitnessed');
  const proposed = await runKeyfleet(...bySafe, '--unwitnessed');
  expect(proposed.out).toContain('safe-1 alone could replace the domain keys by it');
  expect(proposed.out).toContain('It has all its signatures, but safe-1, which must carry it out, cannot be reached.');
  const id = /keyfleet recover ([0-9a-f]+)/.exec(proposed.out)![1]!;

  const two = ['--offline-member', safe, '--shares', shares.slice(0, 2).join()];
  expect(await runKeyfleet('recover', id, ...domain, ...two)).toMatchObject({
    exitCode: 1,
    notes: expect.stringContaining('3 different shares are needed; 2 were given'),
  });
  const recovered = await runKeyfleet('recover', id, ...domain, ...offline);
  expect(recovered).toMatchObject({ exitCode: 0, out: expect.stringContaining('at generation 4') });

  await eventually('the fresh fleet decrypts', async () => {
    const decrypted = await kms.send(new DecryptCommand({ CiphertextBlob }));
    return Buffer.from(decrypted.Plaintext!).equals(Plaintext);
  });
  await kms.send(new EncryptCommand({ KeyId: late, Plaintext }));
  await kms.send(new SignCommand({ KeyId: signing, Message: Plaintext, SigningAlgorithm: 'ECDSA_SHA_256' }));
  await kms.send(new CreateKeyCommand({}));
  expect((await runKeyfleet('recover', id, ...domain, ...offline)).notes).toContain('cannot be carried out (done)');

  using client = new DomainManagerClient(manager, plaintextPeers.credentials);
  const anchor = loadTrustAnchor(home.trustAnchorFile);
  const { tokens } = await client.fetchChain(anchor);
  await expect(client.storeToken(tokens.at(-1)!)).rejects.toThrow('does not verify');
  expect((await client.fetchChain(anchor)).tokens.length).toBe(tokens.length);
});

test('in a domain of two nothing changes while the other member is away, unless people sign that one’s word is enough', async () => {
  await using cluster = await startTestCluster();
  const { domain, signer } = cliOptionsOf(cluster);
  const [, away] = cluster.home.workerNames as [string, string];
  const rotate = (...options: string[]) => runKeyfleet('domain', 'rotate', ...options, ...domain, ...signer);
  await cluster.kill(away);
  const whenItWaits = async () => {
    await eventually('it says what it waits for', async () => {
      const { out } = await runKeyfleet('domain', 'proposals', ...domain.slice(0, 2));
      return out.includes(`start one of ${away}. If all are lost, propose the change again with --unwitnessed`);
    });
    await cluster.restart(away);
  };
  const [rotated] = await Promise.all([rotate(), whenItWaits()]);
  expect(rotated.out).toContain('Done: the domain is at generation 2.');

  await cluster.kill(away);
  const alone = await rotate('--unwitnessed');
  expect(alone.out).toContain('no other member confirms the domain token');
  expect(alone.out).toContain('Done: the domain is at generation 3.');
  await cluster.restart(away);
  await eventually('the other one catches up', async () => {
    const { out } = await runKeyfleet('domain', 'verify', ...domain);
    return out.includes('Every worker that the domain-manager lists as a member holds it.');
  });
});
