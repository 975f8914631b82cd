import type { Operation } from '@keyfleet/shared/api/operation';
import { operations } from '@keyfleet/shared/api/registry';
import { FakeFrontend } from '@keyfleet/test-support/fakes/frontend';
import { expect, test } from 'vitest';
import { findHandler } from '../operations/index.ts';

const takeTokens = Object.values<Operation>(operations).filter(
  ({ name, input }) => 'GrantTokens' in input.shape && findHandler(name) !== undefined,
);

test('operations take grant tokens', () => {
  expect(takeTokens.map(({ name }) => name)).toEqual(expect.arrayContaining(['DescribeKey', 'Decrypt', 'Encrypt']));
});

test.each(takeTokens)('$name refuses a grant token that nobody was given', async (operation) => {
  const frontend = new FakeFrontend();
  const { KeyMetadata } = await frontend.call(operations.CreateKey, {});
  const call = (GrantTokens: string[]) =>
    frontend.raw(operation, {
      KeyId: KeyMetadata!.KeyId,
      DestinationKeyId: KeyMetadata!.KeyId,
      CiphertextBlob: Buffer.of(1),
      GrantTokens,
    });
  await expect(call(['junk'])).rejects.toMatchObject({ code: 'InvalidGrantTokenException' });
  await expect(call([]).catch((error: unknown) => error)).resolves.not.toMatchObject({
    code: 'InvalidGrantTokenException',
  });
});
