import { CreateKey, DisableKey } from '@keyfleet/shared/api/keys';
import { ListResourceTags, TagResource, UntagResource } from '@keyfleet/shared/api/tags';
import { FakeFrontend, region, user } from '@keyfleet/test-support/fakes/frontend';
import { beforeEach, expect, test } from 'vitest';

let frontend: FakeFrontend;
let keyId: string;
let arn: string;
beforeEach(async () => {
  frontend = new FakeFrontend();
  ({ keyId, arn } = await newKey());
});

async function newKey() {
  const { KeyMetadata } = await frontend.call(CreateKey, {});
  return { keyId: KeyMetadata?.KeyId ?? '', arn: KeyMetadata?.Arn ?? '' };
}

function tags(...names: string[]) {
  return names.map((name) => ({ TagKey: name, TagValue: `value of ${name}` }));
}
function numbered(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `tag ${String(i).padStart(2, '0')}`);
}
async function namesOf(KeyId: string): Promise<string[]> {
  const { Tags } = await frontend.call(ListResourceTags, { KeyId });
  return (Tags ?? []).map(({ TagKey }) => TagKey);
}

test('tags are added, changed and removed', async () => {
  expect(await frontend.call(TagResource, { KeyId: keyId, Tags: tags('team', 'cost') })).toBeUndefined();
  await frontend.call(TagResource, { KeyId: arn, Tags: [{ TagKey: 'team', TagValue: '' }, ...tags('Team')] });
  expect(await frontend.call(ListResourceTags, { KeyId: keyId })).toEqual({
    Tags: [...tags('Team', 'cost'), { TagKey: 'team', TagValue: '' }],
    Truncated: false,
  });
  expect(
    await frontend.call(UntagResource, { KeyId: keyId, TagKeys: ['team', 'never there', 'team'] }),
  ).toBeUndefined();
  expect(await namesOf(keyId)).toEqual(['Team', 'cost']);
});

test('tags are audited', async () => {
  await frontend.call(TagResource, { KeyId: keyId, Tags: tags('a') });
  const change = { readOnly: false, responseElements: { keyId: arn }, resources: [{ ARN: arn }] };
  expect(frontend.lastAudit).toMatchObject({ requestParameters: { keyId, tags: [{ tagKey: 'a' }] }, ...change });
  await frontend.call(UntagResource, { KeyId: keyId, TagKeys: ['a'] });
  expect(frontend.lastAudit).toMatchObject({ requestParameters: { keyId, tagKeys: ['a'] }, ...change });
  await frontend.call(ListResourceTags, { KeyId: keyId });
  expect(frontend.lastAudit).toMatchObject({ eventName: 'ListResourceTags', readOnly: true, responseElements: null });
});

test.each([
  [tags('a', 'b', 'a'), 'TagException: Duplicate tag keys'],
  [tags('a', 'aws:b'), 'TagException: Tags beginning with aws: are reserved'],
  [tags('AWS:b'), 'TagException: Tags beginning with aws: are reserved'],
  [tags(...numbered(51)), 'TagException: Too many tags'],
])('tags that no key can have change nothing', async (Tags, expected) => {
  await frontend.call(TagResource, { KeyId: keyId, Tags: tags('kept') });
  expect(await frontend.refusal(TagResource, { KeyId: keyId, Tags })).toBe(expected);
  expect(frontend.lastAudit).toMatchObject({ errorCode: 'TagException', responseElements: null });
  expect(await namesOf(keyId)).toEqual(['kept']);
});

test('a key has 50 tags at most, however they came', async () => {
  await frontend.call(TagResource, { KeyId: keyId, Tags: tags(...numbered(49)) });
  expect(await frontend.refusal(TagResource, { KeyId: keyId, Tags: tags('x', 'y') })).toBe(
    'TagException: Too many tags',
  );
  await frontend.call(TagResource, { KeyId: keyId, Tags: tags('x', ...numbered(49)) });
  expect(await namesOf(keyId)).toEqual([...numbered(49), 'x']);
});

test('forty callers who tag a key at once all succeed', async () => {
  await Promise.all(numbered(40).map((name) => frontend.call(TagResource, { KeyId: keyId, Tags: tags(name) })));
  expect((await namesOf(keyId)).toSorted()).toEqual(numbered(40));
  expect(frontend.faults).toEqual([]);
});

test('a reserved tag is not removed either', async () => {
  expect(await frontend.refusal(UntagResource, { KeyId: keyId, TagKeys: ['aws:a'] })).toBe(
    'TagException: Tags beginning with aws: are reserved',
  );
});

test('a list comes page by page, each tag once, also when one is removed in between', async () => {
  await frontend.call(TagResource, { KeyId: keyId, Tags: tags(...numbered(5)) });
  const first = await frontend.call(ListResourceTags, { KeyId: keyId, Limit: 2 });
  expect(first).toMatchObject({ Tags: tags('tag 00', 'tag 01'), Truncated: true });
  await frontend.call(UntagResource, { KeyId: keyId, TagKeys: ['tag 01'] });
  const second = await frontend.call(ListResourceTags, { KeyId: keyId, Limit: 2, Marker: first.NextMarker });
  expect(second).toMatchObject({ Tags: tags('tag 02', 'tag 03'), Truncated: true });
  expect(await frontend.call(ListResourceTags, { KeyId: keyId, Limit: 2, Marker: second.NextMarker })).toEqual({
    Tags: tags('tag 04'),
    Truncated: false,
  });
});

test('a marker is of one list of one key, and nobody makes one', async () => {
  await frontend.call(TagResource, { KeyId: keyId, Tags: tags('a', 'b') });
  const { NextMarker } = await frontend.call(ListResourceTags, { KeyId: keyId, Limit: 1 });
  const other = await newKey();
  for (const request of [
    { KeyId: other.keyId, Marker: NextMarker },
    { KeyId: keyId, Marker: 'b' },
    { KeyId: keyId, Marker: `${NextMarker}A` },
  ]) {
    expect(await frontend.refusal(ListResourceTags, request)).toMatch(/^InvalidMarkerException/);
  }
});

test('tags of a disabled key change, those of one that is pending deletion are only read', async () => {
  await frontend.call(DisableKey, { KeyId: keyId });
  await frontend.call(TagResource, { KeyId: keyId, Tags: tags('a') });
  const key = await frontend.store.findKey(region, keyId);
  await frontend.store.updateKey({ ...key!, state: 'PendingDeletion' });
  const expected = `KMSInvalidStateException: ${arn} is pending deletion.`;
  expect(await frontend.refusal(TagResource, { KeyId: keyId, Tags: tags('b') })).toBe(expected);
  expect(await frontend.refusal(UntagResource, { KeyId: keyId, TagKeys: ['a'] })).toBe(expected);
  expect(await namesOf(keyId)).toEqual(['a']);
});

test('each takes its own permission', async () => {
  const caller = user('mallory', { policies: [] });
  for (const [operation, input] of [
    [TagResource, { Tags: tags('a') }],
    [UntagResource, { TagKeys: ['a'] }],
    [ListResourceTags, {}],
  ] as const) {
    expect(await frontend.refusal(operation, { KeyId: keyId, ...input }, { caller })).toMatch(
      new RegExp(`^AccessDeniedException: .* is not authorized to perform: kms:${operation.name} on resource: ${arn}`),
    );
  }
});
