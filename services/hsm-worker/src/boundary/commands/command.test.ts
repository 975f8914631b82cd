import type { KeySpec, KeyUsage } from '@keyfleet/shared/key-specs';
import { domainKeyIdOf } from '@keyfleet/shared/hsm/exported-key-token';
import { wrapMaterial } from '@keyfleet/shared/wrap-material';
import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  newTestKey,
  takenBy,
  testAccount,
  testContext,
  testKeyId,
} from '../../../../../test/support/command-context.ts';
import { type Change, TestDomain } from '../../../../../test/support/domain.ts';
import { RefusedError } from '../errors.ts';
import { newRsaKeyPair, type RsaBits, type RsaAsker } from '../keys/key-pair.ts';
import { PoolTurns } from '../crypto/pool-turns.ts';
import { type CommandContext, contextOf } from './command.ts';
import { handlers } from './handlers.ts';

const removal: Change = { name: 'ModifyMembers', body: { admit: [], remove: ['hsm-3'] } };

/** The n-th HSM starts to make an RSA key, and the third is removed before the key is ready. */
async function removedMeanwhile(n: number) {
  const domain = new TestDomain({ members: 3 });
  const hsm = domain.hsms[n]!;
  const begun = Promise.withResolvers<void>();
  const take = async (bits: RsaBits) => (await begun.promise, await newRsaKeyPair(bits));
  const context = contextOf(hsm, testContext({ rsaKeyPairs: takenBy(take) }));
  const made = newTestKey('RSA_2048', 'SIGN_VERIFY', context()!);
  domain.step(removal);
  begun.resolve();
  return { hsm, context, made };
}

test('a key that was being made when a member left is sealed under the key that this one never had', async () => {
  const { hsm, made } = await removedMeanwhile(1);
  expect(domainKeyIdOf((await made).token)).toBe(hsm.keyring()!.active.id);
});

test('a member that is removed meanwhile seals nothing more', async () => {
  const { context, made } = await removedMeanwhile(2);
  await expect(made).rejects.toThrow(RefusedError);
  expect(context()).toBeUndefined();
});

describe('an RSA key is made for the host and the account that wait for it', async () => {
  const caller = { host: 'frontend-1', isWaiting: () => true };
  const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const made: RsaAsker[] = [];
  const take = async (_: RsaBits, by: RsaAsker) => (made.push(by), pair);
  const context = testContext({ rsaKeyPairs: takenBy(take) });
  const key = { keyId: testKeyId, account: testAccount, region: 'us-east-1' };
  const { token } = await newTestKey('SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT', context);
  const asData = { ...key, token, encryptionContext: {}, keyPairSpec: 'RSA_2048', withPlaintext: true } as const;
  const recipient = pair.publicKey.export({ format: 'der', type: 'spki' });
  const spec = { keySpec: 'RSA_2048', keyUsage: 'SIGN_VERIFY' } as const;
  const asImport = {
    ...key,
    ...spec,
    wrappingKeySpec: 'RSA_2048',
    wrappingAlgorithm: 'RSA_AES_KEY_WRAP_SHA_256',
  } as const;

  test.each([
    ['GenerateBackingKey', () => handlers.GenerateBackingKey({ ...key, ...spec }, context, caller)],
    ['GenerateDataKeyPair', () => handlers.GenerateDataKeyPair(asData, context, caller)],
    [
      'GenerateDataKeyPair for a recipient',
      () => handlers.GenerateDataKeyPairForRecipient({ ...asData, recipient }, context, caller),
    ],
    ['GenerateImportKey', () => handlers.GenerateImportKey(asImport, context, caller)],
  ])('%s', async (_, run) => {
    made.length = 0;
    await run();
    expect(made).toEqual([{ account: testAccount, caller }]);
  });
});

describe('what the thread pool does for a key waits for its turn', async () => {
  const turns: string[] = [];
  const poolTurns = new PoolTurns();
  const counted: CommandContext['poolTurns'] = {
    run: (lane, caller, work) => (turns.push(`${lane.account} ${lane.keyId}`), poolTurns.run(lane, caller, work)),
  };
  const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const context = testContext({ poolTurns: counted, rsaKeyPairs: takenBy(async () => pair) });
  const key = { keyId: testKeyId, account: testAccount };
  const raw = { messageType: 'RAW', message: Buffer.from('a message') } as const;
  const newKey = async (keySpec: KeySpec, keyUsage: KeyUsage) => ({
    ...key,
    ...(await newTestKey(keySpec, keyUsage, context)),
  });

  test.each([
    ['RSA_2048', 'RSASSA_PKCS1_V1_5_SHA_256', 1],
    ['RSA_2048', 'RSASSA_PSS_SHA_256', 1],
    ['ECC_NIST_P256', 'ECDSA_SHA_256', 2],
    ['ML_DSA_44', 'ML_DSA_SHAKE_256', 2],
  ] as const)('Sign and Verify with %s and %s', async (keySpec, algorithm, times) => {
    const signed = { ...(await newKey(keySpec, 'SIGN_VERIFY')), algorithm, ...raw };
    turns.length = 0;
    const { signature } = await handlers.Sign(signed, context, undefined);
    expect(await handlers.Verify({ ...signed, signature }, context, undefined)).toEqual({ valid: true });
    // To verify with RSA is quick, and is done at once.
    expect(turns).toEqual(Array(times).fill(`${testAccount} ${testKeyId}`));
  });

  test('Decrypt and ReEncrypt with RSA', async () => {
    const { token } = await newKey('RSA_2048', 'ENCRYPT_DECRYPT');
    const how = { algorithm: 'RSAES_OAEP_SHA_256', encryptionContext: {} };
    const encrypt = { ...key, token, ...how, plaintext: Buffer.from('x') };
    const { ciphertext } = await handlers.Encrypt(encrypt, context, undefined);
    turns.length = 0;
    await handlers.Decrypt({ ...key, token, ...how, ciphertext }, context, undefined);
    const from = {
      sourceKeyId: testKeyId,
      sourceAccount: testAccount,
      sourceToken: token,
      sourceAlgorithm: how.algorithm,
      sourceContext: {},
    };
    const to = {
      destinationKeyId: testKeyId,
      destinationAccount: testAccount,
      destinationToken: token,
      destinationAlgorithm: how.algorithm,
      destinationContext: {},
    };
    await handlers.ReEncrypt({ ...from, ...to, ciphertext }, context, undefined);
    expect(turns).toHaveLength(2);
  });

  test('DeriveSharedSecret', async () => {
    const { token, publicKey } = await newKey('ECC_NIST_P384', 'KEY_AGREEMENT');
    turns.length = 0;
    await handlers.DeriveSharedSecret({ ...key, token, publicKey: publicKey! }, context, undefined);
    expect(turns).toHaveLength(1);
  });

  test.each([
    ['RSA_2048', 'SIGN_VERIFY', 1],
    ['RSA_2048', 'ENCRYPT_DECRYPT', 1],
    ['ECC_NIST_P256', 'SIGN_VERIFY', 2],
    ['ECC_NIST_P384', 'KEY_AGREEMENT', 1],
  ] as const)('DescribeBackingKey of %s for %s', async (keySpec, keyUsage, times) => {
    const { token } = await newKey(keySpec, keyUsage);
    turns.length = 0;
    await handlers.DescribeBackingKey({ ...key, token }, context, undefined);
    expect(turns).toEqual(Array(times).fill(`${testAccount} ${testKeyId}`));
  });

  const asked: RsaAsker[] = [];
  const rsaKeyPairs: CommandContext['rsaKeyPairs'] = {
    take: async () => pair,
    inTurn: (asker, work) => (asked.push(asker), work()),
  };
  const caller = { host: 'frontend-1', isWaiting: () => true };

  test('CheckBackingKey, which has the turn of a pair for an RSA key', async () => {
    const { token } = await newKey('RSA_2048', 'SIGN_VERIFY');
    asked.length = 0;
    await handlers.CheckBackingKey({ ...key, token }, { ...context, rsaKeyPairs }, caller);
    expect(asked).toEqual([{ account: testAccount, caller }]);
  });

  test('ImportBackingKey, and its check of an RSA key has the turn of a pair', async () => {
    const importing = { ...key, region: 'us-east-1', keySpec: 'RSA_2048', keyUsage: 'SIGN_VERIFY' } as const;
    const wrapping = { wrappingKeySpec: 'RSA_2048', wrappingAlgorithm: 'RSA_AES_KEY_WRAP_SHA_256' } as const;
    const generate = handlers.GenerateImportKey({ ...importing, ...wrapping }, context, caller);
    const { importToken, publicKey } = await generate;
    const material = pair.privateKey.export({ format: 'der', type: 'pkcs8' });
    const encryptedMaterial = wrapMaterial(wrapping.wrappingAlgorithm, publicKey, material);
    turns.length = asked.length = 0;
    await handlers.ImportBackingKey(
      { ...importing, importToken, encryptedMaterial },
      { ...context, rsaKeyPairs },
      caller,
    );
    expect(turns).toEqual([`${testAccount} ${testKeyId}`]);
    expect(asked).toEqual([{ account: testAccount, caller }]);
  });
});
