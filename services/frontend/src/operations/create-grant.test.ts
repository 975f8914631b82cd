import { operations } from '@keyfleet/shared/api/registry';
import { accountId } from '@keyfleet/test-support/fakes/frontend';
import {
  bob,
  carol,
  denied,
  encrypt,
  frontend,
  grant,
  KeyId,
  keyArn,
  newFrontend,
  newKey,
  refused,
} from '@keyfleet/test-support/fakes/granting';
import { beforeEach, describe, expect, test } from 'vitest';

const { DisableKey, ListGrants, RevokeGrant, ScheduleKeyDeletion } = operations;

beforeEach(newFrontend);

describe('CreateGrant', () => {
  test.each<[string, object, string]>([
    ['no grantee', { GranteePrincipal: undefined }, 'ValidationException: Specify either GranteePrincipal or'],
    ['two grantees', { GranteeServicePrincipal: 's3.amazonaws.com' }, 'ValidationException: Specify either Grantee'],
    [
      'a user that is not there',
      { GranteePrincipal: `arn:aws:iam::${accountId}:user/nobody` },
      'InvalidArnException: ARN does not refer to a valid principal: arn:aws:iam::111122223333:user/nobody',
    ],
    ['a group', { GranteePrincipal: `arn:aws:iam::${accountId}:group/g` }, 'InvalidArnException: ARN does not refer'],
    ['everybody', { GranteePrincipal: '*'.replace('*', 'x') }, 'InvalidArnException: ARN does not refer'],
    ['another partition', { GranteePrincipal: 'arn:aws-cn:iam::999999999999:user/x' }, 'InvalidArnException'],
    [
      'a retiring principal that is not there',
      { RetiringPrincipal: `arn:aws:iam::${accountId}:user/nobody` },
      'InvalidArnException',
    ],
    [
      'an operation that the key has not',
      { Operations: ['Encrypt', 'Sign'] },
      'ValidationException: Operations Sign are not valid',
    ],
    ['no operation', { Operations: [] }, 'ValidationException: A grant must have at least one operation.'],
    [
      'a service without a source',
      { GranteePrincipal: undefined, GranteeServicePrincipal: 's3.amazonaws.com', RetiringPrincipal: bob.caller.arn },
      'ValidationException: A grant with GranteeServicePrincipal needs',
    ],
    ['a junk token', { GrantTokens: ['junk'] }, 'InvalidGrantTokenException: A grant token is not valid.'],
    [
      'nine pairs',
      {
        Constraints: {
          EncryptionContextEquals: Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`k${i}`, ''])),
        },
      },
      'ValidationException: A grant constraint has at most 8',
    ],
    [
      'two constraints of the context, also if one has no pairs',
      { Constraints: { EncryptionContextEquals: {}, EncryptionContextSubset: { a: 'b' } } },
      'ValidationException: More than one constraint supplied',
    ],
    [
      'a long value',
      { Constraints: { EncryptionContextSubset: { a: 'x'.repeat(385) } } },
      'ValidationException: An encryption context value',
    ],
    ['a dry run', { DryRun: true }, 'DryRunOperationException: The request would have succeeded'],
  ])('refuses %s', async (_, input, says) => {
    expect(await refused(grant(input))).toContain(says);
    expect((await frontend.call(ListGrants, { KeyId })).Grants).toEqual([]);
  });

  test('refuses an encryption context constraint of a key that has none', async () => {
    const signing = await newKey({ KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' });
    const Constraints = { EncryptionContextEquals: { a: '1' } };
    const input = { KeyId: signing.KeyId, Operations: ['Sign'] };
    expect(await refused(grant({ ...input, Constraints }))).toContain('ValidationException: Encryption context');
    await grant(input);
  });

  test('by the same name gives the same grant and another token, and by another a new grant', async () => {
    const [first, again, other] = [await grant({ Name: 'n' }), await grant({ Name: 'n' }), await grant({ Name: 'm' })];
    expect(again.GrantId).toBe(first.GrantId);
    expect(again.GrantToken).not.toBe(first.GrantToken);
    expect(other.GrantId).not.toBe(first.GrantId);
  });

  test('of a disabled key is refused, of one pending deletion too; its grants can still be revoked', async () => {
    const { GrantId } = await grant({});
    await frontend.call(ScheduleKeyDeletion, { KeyId, PendingWindowInDays: 7 });
    expect(await refused(grant({}))).toContain('KMSInvalidStateException');
    await frontend.call(RevokeGrant, { KeyId, GrantId });
    const disabled = await newKey();
    await frontend.call(DisableKey, { KeyId: disabled.KeyId });
    expect(await refused(grant({ KeyId: disabled.KeyId }))).toContain('DisabledException');
  });

  test('through a grant gives no more than the grant', async () => {
    await grant({
      Operations: ['CreateGrant', 'Encrypt'],
      Constraints: { EncryptionContextSubset: { tenant: 'a' } },
    });
    const child = (input: object) => grant({ GranteePrincipal: carol.caller.arn, ...input }, bob);
    const within = { EncryptionContextEquals: { tenant: 'a', app: 'x' } };
    expect(await refused(child({}))).toBe(denied('CreateGrant'));
    expect(await refused(child({ Operations: ['Encrypt', 'Decrypt'], Constraints: within }))).toBe(
      denied('CreateGrant'),
    );
    await child({ Constraints: within });
    await encrypt(carol, { tenant: 'a', app: 'x' });
    expect(await refused(encrypt(carol, { tenant: 'a' }))).toBe(denied('Encrypt', 'carol'));
  });

  test('of a key that is full is refused', async () => {
    frontend.grants.insert = () => Promise.resolve('full');
    expect(await refused(grant({}))).toBe(`LimitExceededException: Key '${keyArn}' has the maximum of 50000 grants.`);
  });

  test('is in the audit record by its id and key, as in CloudTrail', async () => {
    const { GrantId } = await grant({});
    expect(frontend.lastAudit).toMatchObject({
      eventName: 'CreateGrant',
      readOnly: false,
      responseElements: { grantId: GrantId, keyId: keyArn },
    });
    expect(Object.keys(frontend.lastAudit.responseElements as object)).toEqual(['grantId', 'keyId']);
    await frontend.call(RevokeGrant, { KeyId, GrantId });
    expect(frontend.lastAudit).toMatchObject({ eventName: 'RevokeGrant', responseElements: { keyId: keyArn } });
  });

  test('never shows a token in the audit record', async () => {
    const { GrantToken } = await grant({});
    await encrypt(bob, undefined, { GrantTokens: [GrantToken] });
    expect(JSON.stringify(frontend.audit)).not.toContain(GrantToken);
  });
});
