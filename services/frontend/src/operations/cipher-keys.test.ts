import { Decrypt, Encrypt } from '@keyfleet/shared/api/cipher';
import { CreateAlias } from '@keyfleet/shared/api/aliases';
import { PutKeyPolicy } from '@keyfleet/shared/api/policies';
import { accountId, region, user } from '@keyfleet/test-support/fakes/frontend';
import {
  arn,
  encrypt,
  frontend,
  keyId,
  newFrontend,
  newKey,
  setState,
} from '@keyfleet/test-support/fakes/symmetric-key';
import { beforeEach, expect, test } from 'vitest';

const missingKeyId = '00000000-0000-4000-8000-000000000000';

const outOfReach =
  'because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access';

const opaqueTo = ({ arn }: { arn: string }) =>
  `AccessDeniedException: User: ${arn} is not authorized to perform: kms:Decrypt on the resource associated with this ciphertext ${outOfReach}`;

const incorrectKey =
  'IncorrectKeyException: The key ID in the request does not identify a CMK that can perform this operation.';

beforeEach(newFrontend);

test.each(['id', 'arn', 'alias name', 'alias arn'])('a key is found by its %s', async (by) => {
  await frontend.call(CreateAlias, { AliasName: 'alias/blue', TargetKeyId: keyId });
  const identifiers: Record<string, string> = {
    id: keyId,
    arn,
    'alias name': 'alias/blue',
    'alias arn': `arn:aws:kms:${region}:${accountId}:alias/blue`,
  };
  expect((await encrypt({ KeyId: identifiers[by] })).KeyId).toBe(arn);
});

test.each([
  ['not-a-key', "NotFoundException: Invalid keyId 'not-a-key'"],
  ['00000000000040008000000000000000', "NotFoundException: Invalid keyId '00000000000040008000000000000000'"],
  [missingKeyId, `NotFoundException: Key 'arn:aws:kms:${region}:${accountId}:key/${missingKeyId}' does not exist`],
  [`arn:aws:kms:eu-west-1:${accountId}:key/${missingKeyId}`, 'NotFoundException: Invalid arn eu-west-1'],
  ['alias/none', `NotFoundException: Alias arn:aws:kms:${region}:${accountId}:alias/none is not found.`],
  ['arn:nonsense', 'NotFoundException: Invalid arn arn:nonsense'],
])('a key that is not there: %s', async (KeyId, expected) => {
  expect(await frontend.refusal(Encrypt, { KeyId, Plaintext: Buffer.of(1) })).toBe(expected);
});

test('a key of one Region does not exist in another', async () => {
  expect(await frontend.refusal(Encrypt, { KeyId: keyId, Plaintext: Buffer.of(1) }, { region: 'eu-west-1' })).toBe(
    `NotFoundException: Key 'arn:aws:kms:eu-west-1:${accountId}:key/${keyId}' does not exist`,
  );
});

test('a foreign account learns nothing: not by id, and the same by ARN whether the key exists or not', async () => {
  const caller = user('eve', { accountId: '999999999999' });
  const request = { Plaintext: Buffer.of(1) };
  expect(await frontend.refusal(Encrypt, { KeyId: keyId, ...request }, { caller })).toBe(
    `NotFoundException: Key 'arn:aws:kms:${region}:999999999999:key/${keyId}' does not exist`,
  );
  const [existing, missing] = [arn, arn.replace(keyId, missingKeyId)];
  const denial = `AccessDeniedException: User: ${caller.arn} is not authorized to perform: kms:Encrypt on this resource ${outOfReach}`;
  expect(await frontend.refusal(Encrypt, { KeyId: existing, ...request }, { caller })).toBe(denial);
  expect(await frontend.refusal(Encrypt, { KeyId: missing, ...request }, { caller })).toBe(denial);
});

test('a ciphertext of a key that is missing, foreign, distant or closed by its policy gives one answer', async () => {
  const { CiphertextBlob } = await encrypt();
  const missing = Buffer.from(CiphertextBlob ?? []);
  missing.set(Buffer.from(missingKeyId.replaceAll('-', ''), 'hex'), 2);
  const ask = (blob: unknown, overrides: object) => frontend.refusal(Decrypt, { CiphertextBlob: blob }, overrides);
  const eve = user('eve', { accountId: '999999999999' });
  expect(await ask(missing, {})).toBe(opaqueTo(user('alice')));
  expect(await ask(CiphertextBlob, { caller: eve })).toBe(opaqueTo(eve));
  expect(await ask(CiphertextBlob, { region: 'eu-west-1' })).toBe(opaqueTo(user('alice')));

  const statement = { Effect: 'Allow', Action: 'kms:*', Resource: '*', Principal: { AWS: user('alice').arn } };
  const denial = { ...statement, Effect: 'Deny', Action: 'kms:Decrypt', Principal: { AWS: user('bob').arn } };
  for (const Statement of [[statement], [statement, denial]]) {
    await frontend.call(PutKeyPolicy, { KeyId: keyId, Policy: JSON.stringify({ Statement }) });
    expect(await ask(CiphertextBlob, { caller: user('bob') })).toBe(opaqueTo(user('bob')));
  }
});

test('a caller whom only their own policies keep from a ciphertext is told so', async () => {
  const { CiphertextBlob } = await encrypt();
  const start = (name: string) =>
    `AccessDeniedException: User: ${user(name).arn} is not authorized to perform: kms:Decrypt on the resource associated with this ciphertext`;
  const mallory = user('mallory', { policies: [] });
  expect(await frontend.refusal(Decrypt, { CiphertextBlob }, { caller: mallory })).toBe(
    `${start('mallory')} because no identity-based policy allows the kms:Decrypt action`,
  );
  const denied = user('denied', {
    policies: [JSON.stringify({ Statement: { Effect: 'Deny', Action: 'kms:*', Resource: '*' } })],
  });
  expect(await frontend.refusal(Decrypt, { CiphertextBlob }, { caller: denied })).toBe(
    `${start('denied')} with an explicit deny in an identity-based policy`,
  );
});

test('Decrypt with a key that is not the ciphertext’s, or not for encryption, names an incorrect key', async () => {
  const { CiphertextBlob } = await encrypt();
  const other = await newKey();
  const mac = await newKey({ KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' });
  expect(await frontend.refusal(Decrypt, { CiphertextBlob, KeyId: other.keyId })).toBe(incorrectKey);
  expect(await frontend.refusal(Decrypt, { CiphertextBlob, KeyId: mac.keyId })).toBe(incorrectKey);
  expect(await frontend.refusal(Decrypt, { KeyId: keyId })).toMatch(/^ValidationException: 1 validation error/);
});

test('the state of a key is not told to who may not use it', async () => {
  await setState('Disabled');
  const caller = user('mallory', { policies: [] });
  expect(await frontend.refusal(Encrypt, { KeyId: keyId, Plaintext: Buffer.of(1) }, { caller })).toMatch(
    /^AccessDeniedException/,
  );
});
