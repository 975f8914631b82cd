import { domainKeyIdOf } from '@keyfleet/shared/hsm/exported-key-token';
import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { newTestKey, testAccount, testContext, testKeyId } from '../../../../../test/support/command-context.ts';
import { type Change, TestDomain } from '../../../../../test/support/domain.ts';
import { RefusedError } from '../errors.ts';
import { newRsaKeyPair, type RsaBits, type RsaCaller } from '../keys/key-pair.ts';
import { contextOf } from './command.ts';
import { handlers } from './handlers.ts';

const removal: Change = { name: 'ModifyMembers', body: { admit: [], remove: ['hsm-3'] } };

/** The n-th HSM starts to make an RSA key, and the third is removed before the key is ready. */
async function removedMeanwhile(n: number) {
  const domain = new TestDomain({ members: 3 });
  const hsm = domain.hsms[n]!;
  const begun = Promise.withResolvers<void>();
  const take = async (bits: RsaBits) => (await begun.promise, await newRsaKeyPair(bits));
  const context = contextOf(hsm, testContext({ rsaKeyPairs: { take } }));
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

describe('an RSA key is made for the host that waits for it', async () => {
  const caller = { host: 'frontend-1', isWaiting: () => true };
  const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const made: (RsaCaller | undefined)[] = [];
  const take = async (_: RsaBits, by: RsaCaller | undefined) => (made.push(by), pair);
  const context = testContext({ rsaKeyPairs: { take } });
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
    expect(made).toEqual([caller]);
  });
});
