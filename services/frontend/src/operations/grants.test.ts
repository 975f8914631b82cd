import { operations } from '@keyfleet/shared/api/registry';
import { accountId, user } from '@keyfleet/test-support/fakes/frontend';
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
  Plaintext,
  refused,
} from '@keyfleet/test-support/fakes/granting';
import { beforeEach, describe, expect, test } from 'vitest';

const {
  Decrypt,
  DescribeKey,
  DisableKey,
  Encrypt,
  GetKeyPolicy,
  ListGrants,
  ListRetirableGrants,
  PutKeyPolicy,
  ReEncrypt,
  RetireGrant,
  RevokeGrant,
} = operations;

beforeEach(newFrontend);

describe('a grant', () => {
  test('allows its grantee its operations, until it is revoked', async () => {
    expect(await refused(encrypt(bob))).toBe(denied('Encrypt'));
    const { GrantId } = await grant({});
    expect(GrantId).toMatch(/^[0-9a-f]{64}$/);
    await encrypt(bob);
    expect(await frontend.refusal(DescribeKey, { KeyId }, bob)).toBe(denied('DescribeKey'));
    expect(await frontend.refusal(Encrypt, { KeyId, Plaintext }, carol)).toBe(denied('Encrypt', 'carol'));
    await frontend.call(RevokeGrant, { KeyId, GrantId });
    expect(await refused(encrypt(bob))).toBe(denied('Encrypt'));
  });

  test('means its grantee and retiring principal as they were, and nobody who is made again under their names', async () => {
    const input = { RetiringPrincipal: carol.caller.arn, Name: 'once' };
    const { GrantToken, GrantId } = await grant(input);
    await encrypt(bob);
    const second = (name: string) => ({ caller: user(name, { policies: [], userId: `AIDA2${name.toUpperCase()}` }) });
    frontend.idOf = (arn) => second(arn.split('/')[1]!).caller.userId;
    expect(await refused(encrypt(second('bob')))).toBe(denied('Encrypt'));
    expect(await refused(encrypt(second('bob'), undefined, { GrantTokens: [GrantToken] }))).toBe(denied('Encrypt'));
    expect(await frontend.refusal(RetireGrant, { GrantToken }, second('carol'))).toContain('AccessDeniedException');
    const { Grants } = await frontend.call(ListGrants, { KeyId });
    expect(Grants).toMatchObject([{ GranteePrincipal: 'AIDABOB', RetiringPrincipal: 'AIDACAROL' }]);
    const retirable = { RetiringPrincipal: carol.caller.arn };
    expect((await frontend.call(ListRetirableGrants, retirable)).Grants).toEqual([]);
    // The same ARN now means somebody else.
    expect((await grant(input)).GrantId).not.toBe(GrantId);
    await encrypt(second('bob'));
    await frontend.call(RetireGrant, { GrantToken }, carol);
  });

  test('is overridden by a Deny of the key policy, and by one of the caller', async () => {
    await grant({});
    const deny = { Effect: 'Deny', Action: 'kms:Encrypt', Resource: '*' };
    const sad = { caller: user('bob', { policies: [JSON.stringify({ Statement: deny })] }) };
    expect(await frontend.refusal(Encrypt, { KeyId, Plaintext }, sad)).toContain(
      'with an explicit deny in an identity-based policy',
    );
    const { Policy } = await frontend.call(GetKeyPolicy, { KeyId });
    const policy = JSON.parse(Policy!) as { Statement: object[] };
    const statement = { ...deny, Principal: { AWS: bob.caller.arn } };
    const Changed = JSON.stringify({ ...policy, Statement: [...policy.Statement, statement] });
    await frontend.call(PutKeyPolicy, { KeyId, Policy: Changed });
    expect(await refused(encrypt(bob))).toContain('with an explicit deny in a resource-based policy');
  });

  test('is not read where a policy allows, nor for operations that no grant allows', async () => {
    let looked = 0;
    frontend.grants.grantsOf = () => {
      looked += 1;
      return [];
    };
    await frontend.call(Encrypt, { KeyId, Plaintext });
    await frontend.refusal(DisableKey, { KeyId }, bob);
    expect(looked).toBe(0);
    await frontend.refusal(Encrypt, { KeyId, Plaintext }, bob);
    expect(looked).toBe(1);
  });

  test('of one key is not a grant of another', async () => {
    await grant({ Operations: ['Encrypt', 'ReEncryptTo'] });
    const other = await newKey();
    expect(await frontend.refusal(Encrypt, { KeyId: other.KeyId, Plaintext }, bob)).toBe(
      denied('Encrypt', 'bob', other.keyArn),
    );
  });

  test('allows each half of ReEncrypt by itself, with its own context', async () => {
    const request = {
      SourceKeyId: KeyId,
      SourceEncryptionContext: { a: '1' },
      DestinationKeyId: KeyId,
      DryRun: true,
      DryRunModifiers: ['IGNORE_CIPHERTEXT'],
    };
    const Constraints = { EncryptionContextEquals: { a: '1' } };
    await grant({ Operations: ['ReEncryptFrom'], Constraints });
    expect(await frontend.refusal(ReEncrypt, request, bob)).toBe(denied('ReEncryptTo'));
    await grant({ Operations: ['ReEncryptTo'], Constraints });
    expect(await frontend.refusal(ReEncrypt, request, bob)).toBe(denied('ReEncryptTo'));
    const within = { ...request, DestinationEncryptionContext: { a: '1' } };
    expect(await frontend.refusal(ReEncrypt, within, bob)).toContain('DryRunOperationException');
  });

  test('with a constraint holds where the constraint does', async () => {
    await grant({ Constraints: { EncryptionContextSubset: { tenant: 'a' } } });
    await encrypt(bob, { tenant: 'a', more: 'x' });
    for (const context of [undefined, { tenant: 'b' }, { Tenant: 'a' }]) {
      expect(await refused(encrypt(bob, context))).toBe(denied('Encrypt'));
    }
  });

  test('of a ciphertext whose key is not named is found by it', async () => {
    const { CiphertextBlob } = await frontend.call(Encrypt, { KeyId, Plaintext });
    await grant({ Operations: ['Decrypt'] });
    expect((await frontend.call(Decrypt, { CiphertextBlob }, bob)).KeyId).toBe(keyArn);
  });

  test('of a role is one of its sessions, and of no other role', async () => {
    const roleArn = `arn:aws:iam::${accountId}:role/path/app`;
    const session = { roleArn, policies: [], issuedAt: 0 };
    const arn = `arn:aws:sts::${accountId}:assumed-role/app/session`;
    const app = { caller: user('app', { arn, policies: [], session }) };
    const other = { caller: user('app', { arn, policies: [], session: { ...session, roleArn: `${roleArn}2` } }) };
    await frontend.grants.insert(
      {
        schemaVersion: 1,
        grantId: 'ab'.repeat(32),
        region: 'us-east-1',
        keyId: KeyId,
        accountId,
        createdAt: frontend.now,
        grantee: roleArn,
        issuingAccount: accountId,
        operations: ['Encrypt'],
        constraints: {},
      },
      9,
    );
    await encrypt(app);
    expect(await refused(encrypt(other))).toContain('is not authorized');
    const limited = JSON.stringify({ Statement: { Effect: 'Allow', Action: 'kms:Decrypt', Resource: '*' } });
    const less = { caller: user('app', { arn, policies: [], session: { ...session, policies: [limited] } }) };
    expect(await refused(encrypt(less))).toContain('because no session policy allows the kms:Encrypt action');
  });
});

describe('a grant token', () => {
  test('lets its bearer use a grant that this frontend has not heard of', async () => {
    const { GrantToken } = await grant({});
    frontend.grants.grantsOf = () => [];
    expect(await refused(encrypt(bob))).toBe(denied('Encrypt'));
    await encrypt(bob, undefined, { GrantTokens: [GrantToken] });
    expect(await refused(encrypt(carol, undefined, { GrantTokens: [GrantToken] }))).toBe(denied('Encrypt', 'carol'));
  });

  test('of a revoked grant gives nothing, and neither does one of another key', async () => {
    const { GrantToken, GrantId } = await grant({});
    const other = await newKey();
    const elsewhere = { KeyId: other.KeyId, Plaintext, GrantTokens: [GrantToken] };
    expect(await frontend.refusal(Encrypt, elsewhere, bob)).toBe(denied('Encrypt', 'bob', other.keyArn));
    await frontend.call(RevokeGrant, { KeyId, GrantId });
    expect(await refused(encrypt(bob, undefined, { GrantTokens: [GrantToken] }))).toBe(denied('Encrypt'));
  });

  test('that was altered anywhere is junk', async () => {
    const { GrantToken } = await grant({});
    const bytes = Buffer.from(GrantToken!, 'base64');
    for (let at = 0; at < bytes.length; at++) {
      const altered = Buffer.from(bytes);
      altered[at] = altered[at]! ^ 1;
      const more = { GrantTokens: [altered.toString('base64')] };
      expect(await refused(encrypt(bob, undefined, more))).toBe(
        'InvalidGrantTokenException: A grant token is not valid.',
      );
    }
    for (const text of [`${GrantToken} `, GrantToken!.slice(0, -4), `${GrantToken}AAAA`]) {
      expect(await refused(encrypt(bob, undefined, { GrantTokens: [text] }))).toContain('InvalidGrantTokenException');
    }
  });
});
