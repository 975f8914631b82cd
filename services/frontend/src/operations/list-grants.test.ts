import { operations } from '@keyfleet/shared/api/registry';
import { accountId, user } from '@keyfleet/test-support/fakes/frontend';
import { bob, carol, denied, frontend, grant, KeyId, keyArn, newFrontend } from '@keyfleet/test-support/fakes/granting';
import { beforeEach, describe, expect, test } from 'vitest';

const { ListGrants, ListRetirableGrants } = operations;

beforeEach(newFrontend);

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

describe('ListRetirableGrants', () => {
  const opened = (marker = '') => marker + Buffer.from(marker, 'base64url').toString('latin1');

  test('says nothing of grants on keys of other accounts, not even in its markers', async () => {
    const service = { RetiringServicePrincipal: 's3.amazonaws.com', Limit: 1 };
    const made = [await grant(service), await grant(service), await grant(service)];
    const stranger = { caller: user('mallory', { accountId: '999999999999' }) };
    const markers: string[] = [];
    for (let i = 0; i < made.length; i++) {
      const after = i === 0 ? {} : { Marker: markers.at(-1) };
      const { Grants, NextMarker } = await frontend.call(ListRetirableGrants, { ...service, ...after }, stranger);
      expect(Grants).toEqual([]);
      markers.push(NextMarker ?? '');
    }
    expect(markers.map((marker) => marker === '')).toEqual([false, false, true]);
    for (const id of [KeyId, ...made.map(({ GrantId }) => GrantId!)])
      expect(markers.map(opened).join(' ')).not.toContain(id);
  });

  test('says nothing of what the former bearer of a name may retire', async () => {
    const RetiringPrincipal = carol.caller.arn;
    const made = [await grant({ RetiringPrincipal }), await grant({ RetiringPrincipal })];
    frontend.idOf = () => 'AIDAANOTHER';
    const { Grants, NextMarker } = await frontend.call(ListRetirableGrants, { RetiringPrincipal, Limit: 1 });
    expect([Grants, NextMarker]).toEqual([[], expect.any(String)]);
    for (const { GrantId } of made) expect(opened(NextMarker)).not.toContain(GrantId);
  });

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
