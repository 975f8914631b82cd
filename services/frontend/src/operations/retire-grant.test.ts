import { operations } from '@keyfleet/shared/api/registry';
import { accountId, user } from '@keyfleet/test-support/fakes/frontend';
import {
  bob,
  carol,
  denied,
  frontend,
  grant,
  KeyId,
  keyArn,
  newFrontend,
  newKey,
} from '@keyfleet/test-support/fakes/granting';
import { beforeEach, describe, expect, test } from 'vitest';

const { ListGrants, PutKeyPolicy, RetireGrant, RevokeGrant } = operations;

beforeEach(newFrontend);

describe('RetireGrant', () => {
  const gone = async () => (await frontend.call(ListGrants, { KeyId })).Grants!.length === 0;

  test('is for the retiring principal, by token or by key and id', async () => {
    const { GrantToken } = await grant({ RetiringPrincipal: carol.caller.arn });
    expect(await frontend.refusal(RetireGrant, { GrantToken }, bob)).toBe(denied('RetireGrant'));
    expect(await frontend.refusal(RetireGrant, { GrantToken, DryRun: true }, carol)).toContain('DryRunOperation');
    await frontend.call(RetireGrant, { GrantToken }, carol);
    expect(await gone()).toBe(true);
    expect(frontend.lastAudit.eventName).toBe('ListGrants');
    const { GrantId } = await grant({ RetiringPrincipal: carol.caller.arn });
    await frontend.call(RetireGrant, { KeyId: keyArn, GrantId }, carol);
    expect(await gone()).toBe(true);
    expect(await frontend.refusal(RetireGrant, { KeyId: keyArn, GrantId }, carol)).toBe(
      `NotFoundException: Grant ID ${GrantId} not found`,
    );
  });

  test('says in the audit record which grant it ended, or would have, also by token', async () => {
    const { GrantId, GrantToken } = await grant({ RetiringPrincipal: carol.caller.arn });
    const record = (errorCode?: string) =>
      expect.objectContaining({
        eventName: 'RetireGrant',
        additionalEventData: { grantId: GrantId },
        ...(errorCode !== undefined && { errorCode }),
      });
    await frontend.refusal(RetireGrant, { GrantToken, DryRun: true }, carol);
    expect(frontend.lastAudit).toEqual(record('DryRunOperationException'));
    await frontend.call(RetireGrant, { GrantToken }, carol);
    expect(frontend.lastAudit).toEqual(record());
    expect(JSON.stringify(frontend.lastAudit)).not.toContain(GrantToken);
  });

  test('is for the grantee whose grant allows it, whatever its constraints', async () => {
    const Constraints = { EncryptionContextEquals: { a: '1' } };
    const { GrantToken } = await grant({ Operations: ['Encrypt', 'RetireGrant'], Constraints });
    expect(await frontend.refusal(RetireGrant, { GrantToken }, carol)).toBe(denied('RetireGrant', 'carol'));
    await frontend.call(RetireGrant, { GrantToken }, bob);
    expect(await gone()).toBe(true);
  });

  test('is for principals allowed by the account that made it, and a key policy alone does not allow it', async () => {
    const root = `arn:aws:iam::${accountId}:root`;
    const all = { Effect: 'Allow', Principal: { AWS: [root, bob.caller.arn] }, Action: 'kms:*', Resource: '*' };
    await frontend.call(PutKeyPolicy, { KeyId, Policy: JSON.stringify({ Statement: all }) });
    const { GrantToken } = await grant({});
    expect(await frontend.refusal(RetireGrant, { GrantToken }, bob)).toBe(denied('RetireGrant'));
    await frontend.call(RetireGrant, { GrantToken });
    expect(await gone()).toBe(true);
  });

  test("reveals nothing of another account's grants to a caller who may not retire them", async () => {
    const { GrantId, GrantToken } = await grant({});
    const accountOfOther = '999999999999';
    const stranger = {
      caller: { ...user('x'), accountId: accountOfOther, arn: `arn:aws:iam::${accountOfOther}:user/x` },
    };
    const asked = (id: string, key: string) => frontend.refusal(RetireGrant, { KeyId: key, GrantId: id }, stranger);
    const [real, unreal] = [GrantId!, 'ab'.repeat(32)];
    expect(await asked(real, keyArn)).toBe(await asked(unreal, keyArn));
    expect(await asked(real, keyArn)).toContain('AccessDeniedException');
    const answers = await Promise.all([real, unreal].map((id) => asked(id, KeyId)));
    expect(answers).toEqual([real, unreal].map((id) => `NotFoundException: Grant ID ${id} not found`));
    // A grant token is no secret.
    const byToken = () => frontend.refusal(RetireGrant, { GrantToken }, stranger);
    const before = await byToken();
    await frontend.call(RevokeGrant, { KeyId, GrantId });
    expect([before, await byToken()]).toEqual([await asked(real, keyArn), before]);
    expect(await frontend.refusal(RetireGrant, { GrantToken })).toBe(`NotFoundException: Grant ID ${real} not found`);
  });

  test('is overridden by a Deny', async () => {
    const { GrantToken } = await grant({ RetiringPrincipal: carol.caller.arn });
    const deny = JSON.stringify({ Statement: { Effect: 'Deny', Action: 'kms:RetireGrant', Resource: '*' } });
    const sad = { caller: user('carol', { policies: [deny] }) };
    expect(await frontend.refusal(RetireGrant, { GrantToken }, sad)).toContain('with an explicit deny in an identity');
    expect(await gone()).toBe(false);
  });

  test('needs to be told which grant', async () => {
    const says = 'ValidationException: Specify either GrantToken, or KeyId and GrantId.';
    for (const input of [{}, { KeyId }, { GrantId: 'ab' }]) {
      expect(await frontend.refusal(RetireGrant, input)).toBe(says);
    }
    expect(await frontend.refusal(RetireGrant, { GrantToken: 'junk' })).toContain('InvalidGrantTokenException');
    expect(await frontend.refusal(RetireGrant, { KeyId, GrantId: '-' })).toContain('InvalidGrantIdException');
    const { GrantToken } = await grant({});
    const far = { caller: user('alice'), region: 'eu-west-1' };
    expect(await frontend.refusal(RetireGrant, { GrantToken }, far)).toContain('InvalidGrantTokenException');
  });
});

describe('RevokeGrant', () => {
  test('is for principals allowed to, not for the grantee, and only of a grant that the key has', async () => {
    const { GrantId } = await grant({ Operations: ['RetireGrant', 'CreateGrant'] });
    expect(await frontend.refusal(RevokeGrant, { KeyId, GrantId }, bob)).toBe(denied('RevokeGrant'));
    const other = await newKey();
    const says = `NotFoundException: Grant ID ${GrantId} not found`;
    expect(await frontend.refusal(RevokeGrant, { KeyId: other.KeyId, GrantId })).toBe(says);
    expect(await frontend.refusal(RevokeGrant, { KeyId, GrantId, DryRun: true })).toContain('DryRunOperation');
    await frontend.call(RevokeGrant, { KeyId, GrantId });
    expect(await frontend.refusal(RevokeGrant, { KeyId, GrantId })).toBe(says);
  });
});
