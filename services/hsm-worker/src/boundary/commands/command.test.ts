import { domainKeyIdOf } from '@keyfleet/shared/hsm/exported-key-token';
import { expect, test } from 'vitest';
import { newTestKey, testContext } from '../../../../../test/support/command-context.ts';
import { type Change, TestDomain } from '../../../../../test/support/domain.ts';
import { RefusedError } from '../errors.ts';
import { newRsaKeyPair, type RsaBits } from '../keys/key-pair.ts';
import { contextOf } from './command.ts';

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
