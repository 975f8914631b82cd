import { operations } from '@keyfleet/shared/api/registry';
import { accountId, FakeFrontend, user } from '@keyfleet/test-support/fakes/frontend';
import { beforeEach, describe, expect, test } from 'vitest';

const { CreateGrant, CreateKey, Decrypt, DescribeKey, DisableKey, Encrypt, GetKeyPolicy, ListGrants } = operations;
const { ListRetirableGrants, PutKeyPolicy, ReEncrypt, RetireGrant, RevokeGrant, ScheduleKeyDeletion } = operations;

/** A user whose own policies allow nothing. */
const nobody = (name: string) => ({ caller: user(name, { policies: [] }) });
const bob = nobody('bob');
const carol = nobody('carol');
const Plaintext = Buffer.from('hello');

let frontend: FakeFrontend;
let KeyId: string;
let keyArn: string;
beforeEach(async () => {
  frontend = new FakeFrontend();
  ({ KeyId, keyArn } = await newKey());
});

async function newKey(input: object = {}): Promise<{ KeyId: string; keyArn: string }> {
  const { KeyMetadata } = await frontend.call(CreateKey, input);
  return { KeyId: KeyMetadata!.KeyId!, keyArn: KeyMetadata!.Arn! };
}

function grant(input: object, by: { caller: ReturnType<typeof user> } = { caller: user('alice') }) {
  return frontend.call(CreateGrant, { KeyId, GranteePrincipal: bob.caller.arn, Operations: ['Encrypt'], ...input }, by);
}

const encrypt = (by: typeof bob, EncryptionContext?: Record<string, string>, more: object = {}) =>
  frontend.call(Encrypt, { KeyId, Plaintext, ...(EncryptionContext && { EncryptionContext }), ...more }, by);

const denied = (action: string, name = 'bob', on = keyArn) =>
  `AccessDeniedException: User: arn:aws:iam::${accountId}:user/${name} is not authorized to perform: kms:${action} on resource: ${on} because no identity-based policy allows the kms:${action} action`;

const refused = async (call: Promise<unknown>): Promise<string> => {
  const error = await call.then(
    () => new Error('it was not refused'),
    (reason: unknown) => reason as Error,
  );
  return `${error.name}: ${error.message}`;
};

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
        createdAt: 0,
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

describe('ListGrants', () => {
  test('shows everything about a grant', async () => {
    const Constraints = { EncryptionContextEquals: { a: '1' } };
    const { GrantId } = await grant({ Name: 'n', RetiringPrincipal: carol.caller.arn, Constraints });
    expect(await frontend.call(ListGrants, { KeyId })).toEqual({
      Grants: [
        {
          KeyId: keyArn,
          GrantId,
          Name: 'n',
          CreationDate: frontend.now,
          GranteePrincipal: bob.caller.arn,
          RetiringPrincipal: carol.caller.arn,
          IssuingAccount: `arn:aws:iam::${accountId}:root`,
          Operations: ['Encrypt'],
          Constraints,
        },
      ],
      Truncated: false,
    });
  });

  test('of a service names the service, and of no name an empty one', async () => {
    await grant({
      GranteePrincipal: undefined,
      GranteeServicePrincipal: 's3.amazonaws.com',
      RetiringServicePrincipal: 's3.amazonaws.com',
      Constraints: { SourceArn: `arn:aws:s3:us-east-1:${accountId}:bucket` },
    });
    const { Grants } = await frontend.call(ListGrants, { KeyId, GranteeServicePrincipal: 's3.amazonaws.com' });
    expect(Grants).toMatchObject([
      { Name: '', GranteeServicePrincipal: 's3.amazonaws.com', RetiringServicePrincipal: 's3.amazonaws.com' },
    ]);
    expect(Grants![0]).not.toHaveProperty('GranteePrincipal');
  });

  test('continues where a page ended, and can be limited to a grantee or a grant', async () => {
    const ids = [];
    for (let i = 0; i < 5; i++) ids.push((await grant({})).GrantId!);
    const { GrantId } = await grant({ GranteePrincipal: carol.caller.arn });
    const list = async (input: object) => {
      const found: string[] = [];
      let Marker: string | undefined;
      do {
        const page = await frontend.call(ListGrants, { KeyId, Limit: 2, ...input, ...(Marker && { Marker }) });
        found.push(...page.Grants!.map((one) => one.GrantId!));
        Marker = page.NextMarker;
      } while (Marker !== undefined);
      return found.toSorted((a, b) => a.localeCompare(b));
    };
    const sorted = (all: string[]) => all.toSorted((a, b) => a.localeCompare(b));
    expect(await list({})).toEqual(sorted([...ids, GrantId!]));
    expect(await list({ GranteePrincipal: bob.caller.arn })).toEqual(sorted(ids));
    expect(await list({ GrantId })).toEqual([GrantId]);
    expect(await list({ GrantId, GranteePrincipal: bob.caller.arn })).toEqual([]);
    expect(await frontend.refusal(ListGrants, { KeyId, GrantId: 'no!' })).toContain('InvalidGrantIdException');
    const { NextMarker } = await frontend.call(ListGrants, { KeyId, Limit: 2 });
    const elsewhere = { KeyId, GranteePrincipal: bob.caller.arn, Marker: NextMarker };
    expect(await frontend.refusal(ListGrants, elsewhere)).toContain('InvalidMarkerException');
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
    const { GrantId } = await grant({});
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

describe('ListRetirableGrants', () => {
  test("lists what a principal of the caller's account may retire", async () => {
    const RetiringPrincipal = carol.caller.arn;
    const { GrantId } = await grant({ RetiringPrincipal });
    await grant({});
    const { Grants, Truncated } = await frontend.call(ListRetirableGrants, { RetiringPrincipal });
    expect([Grants!.map((one) => one.GrantId), Truncated]).toEqual([[GrantId], false]);
    expect(await frontend.refusal(ListRetirableGrants, { RetiringPrincipal }, carol)).toBe(
      denied('ListRetirableGrants', 'carol', '*'),
    );
    const foreign = { RetiringPrincipal: 'arn:aws:iam::999999999999:user/x' };
    expect(await frontend.refusal(ListRetirableGrants, foreign)).toContain('InvalidArnException');
    expect(await frontend.refusal(ListRetirableGrants, {})).toContain('ValidationException: Specify either');
  });
});
