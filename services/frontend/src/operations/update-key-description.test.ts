import { CreateKey, DescribeKey, DisableKey, UpdateKeyDescription } from '@keyfleet/shared/api/keys';
import { FakeFrontend, region } from '@keyfleet/test-support/fakes/frontend';
import { expect, test } from 'vitest';

async function frontendWithKey() {
  const frontend = new FakeFrontend();
  const { KeyMetadata } = await frontend.call(CreateKey, { Description: 'first' });
  return { frontend, keyId: KeyMetadata?.KeyId ?? '', arn: KeyMetadata?.Arn ?? '' };
}

test('a description is replaced, also of a disabled key and by an empty one', async () => {
  const { frontend, keyId, arn } = await frontendWithKey();
  await frontend.call(DisableKey, { KeyId: keyId });
  for (const Description of ['second', '']) {
    expect(await frontend.call(UpdateKeyDescription, { KeyId: keyId, Description })).toBeUndefined();
    expect((await frontend.call(DescribeKey, { KeyId: keyId })).KeyMetadata?.Description).toBe(Description);
  }
  expect(frontend.audit.findLast(({ eventName }) => eventName === 'UpdateKeyDescription')).toMatchObject({
    readOnly: false,
    requestParameters: { keyId, description: '' },
    responseElements: { keyId: arn },
  });
});

test('a key that is pending deletion keeps its description', async () => {
  const { frontend, keyId, arn } = await frontendWithKey();
  const key = await frontend.store.findKey(region, keyId);
  await frontend.store.updateKey({ ...key!, state: 'PendingDeletion' });
  expect(await frontend.refusal(UpdateKeyDescription, { KeyId: keyId, Description: 'second' })).toBe(
    `KMSInvalidStateException: ${arn} is pending deletion.`,
  );
  expect((await frontend.store.findKey(region, keyId))?.description).toBe('first');
});
