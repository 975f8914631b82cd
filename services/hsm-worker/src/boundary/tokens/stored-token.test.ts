import { counterRandom, testDomainKey, testKeyring } from '@keyfleet/test-support/command-context';
import { ExportedKeyToken, ExportedKeyTokenV1 } from '@keyfleet/shared/hsm/exported-key-token';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { openExportedKey } from './exported-key-token.ts';
import { materialIdOf } from './material-id.ts';
import { labelOf, openToken, sealToken } from './sealed-token.ts';
import { checkResealed, CredentialToken, resealToken } from './stored-token.ts';

const nonce = counterRandom();
const [one, two] = [testDomainKey('1'), testDomainKey('2')];
const keyring = testKeyring({ active: one });
const rotated = testKeyring({ active: two, deactivated: [one] });
const after = testKeyring({ active: two });
const before = { keyring, nonce };

const account = '111122223333';
const keyId = '0a1b2c3d-4e5f-4061-8293-a4b5c6d7e8f9';
const secret = Buffer.alloc(32, 7);
const spec = { keyId, keySpec: 'SYMMETRIC_DEFAULT', keyUsage: 'ENCRYPT_DECRYPT', origin: 'AWS_KMS' } as const;
const header = { ...spec, account, materialId: materialIdOf(keyring.materialIdKey, { keyId, material: secret }) };
const token = sealToken(ExportedKeyToken, { header, secret }, before);
const { account: _, ...headerV1 } = header;
const tokenV1 = sealToken(ExportedKeyTokenV1, { header: headerV1, secret }, before);
const owner = { accessKeyId: 'AKID', principal: 'arn:aws:iam::000000000000:root' };
const credential = sealToken(CredentialToken, { header: owner, secret: Buffer.from('secret') }, before);

const refused = (refusal: string) => expect.objectContaining({ name: 'RefusedError', refusal });
const reseal = (stored: Uint8Array, of: string | undefined = account) =>
  resealToken({ token: stored, account: of }, { keyring: rotated, nonce });

describe('resealing', () => {
  test('changes the domain key and nothing else', () => {
    const resealed = openExportedKey(reseal(token), after);
    expect(resealed).toEqual({ secret, header: { ...header, domain: 'test', domainKeyId: two.id } });
  });

  test('binds a token of version 1 to the account, also under the active domain key', () => {
    const resealed = openExportedKey(reseal(tokenV1), after);
    expect(resealed).toEqual({ secret, header: { ...header, domain: 'test', domainKeyId: two.id } });
    const upgraded = resealToken({ token: tokenV1, account }, before);
    expect(openExportedKey(upgraded, keyring).header.account).toBe(account);
  });

  test('takes credential tokens too', () => {
    const resealed = resealToken({ token: credential }, { keyring: rotated, nonce });
    expect(openToken(CredentialToken, resealed, after).secret.toString()).toBe('secret');
  });

  test('gives back a token of the active domain key only if it opens', () => {
    expect(resealToken({ token, account }, before)).toBe(token);
    const changed = Buffer.from(token);
    changed[changed.length - 1]! ^= 1;
    expect(() => resealToken({ token: changed, account }, before)).toThrow(refused('cannot-open'));
  });

  test('refuses the token of another account, of a key without one and of a credential with one', () => {
    expect(() => reseal(token, '444455556666')).toThrow(refused('cannot-open'));
    expect(() => resealToken({ token }, { keyring: rotated, nonce })).toThrow(refused('cannot-open'));
    expect(() => reseal(credential)).toThrow(refused('cannot-open'));
  });

  test('refuses planted material and garbage, and says which domain key is not here', () => {
    const planted = sealToken(ExportedKeyToken, { header, secret: Buffer.alloc(32, 8) }, before);
    expect(() => reseal(planted)).toThrow(refused('cannot-open'));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500 }), (garbage) => {
        expect(() => reseal(garbage)).toThrow(refused('cannot-open'));
      }),
    );
    expect(() => resealToken({ token, account }, { keyring: after, nonce })).toThrow(refused('unknown-domain-key'));
  });
});

describe('a secret of the fleet', () => {
  const sealedUnder = (active: typeof one, accessKeyId: string) =>
    sealToken(
      CredentialToken,
      { header: { accessKeyId, principal: 'keyfleet:frontends' }, secret },
      { keyring: testKeyring({ active }), nonce },
    );
  const resealed = (stored: Uint8Array) => resealToken({ token: stored }, { keyring: rotated, nonce });

  test.each(['session-token-key', 'record-key-2', 'a/b'])('(%s) that names a newer domain key is refused', (name) => {
    const planted = sealedUnder(one, `keyfleet-${name}/${two.id}`);
    expect(() => resealed(planted)).toThrow(refused('cannot-open'));
    const genuine = sealedUnder(two, `keyfleet-${name}/${two.id}`);
    expect(() => checkResealed(genuine, { token: planted }, rotated)).toThrow(refused('cannot-open'));
  });

  test('is resealed under the domain key that it names, under newer ones, and when that one was dropped', () => {
    for (const named of [one.id, testDomainKey('dropped').id]) {
      const token = sealedUnder(one, `keyfleet-record-key-1/${named}`);
      checkResealed(resealed(token), { token }, rotated);
    }
    const again = sealedUnder(two, `keyfleet-record-key-1/${one.id}`);
    expect(resealed(again)).toBe(again);
    const ofFirstReleases = sealedUnder(one, 'keyfleet-record-key-1');
    checkResealed(resealed(ofFirstReleases), { token: ofFirstReleases }, rotated);
  });
});

describe('checking what was resealed', () => {
  const check = (resealed: Uint8Array, stored: Uint8Array, of: string | undefined = account) =>
    checkResealed(resealed, { token: stored, account: of }, rotated);
  const sealer = { keyring: rotated, nonce };

  test('confirms the same key, of either version, and the same credential', () => {
    check(reseal(token), token);
    check(reseal(tokenV1), tokenV1);
    checkResealed(resealToken({ token: credential }, sealer), { token: credential }, rotated);
  });

  test.each(['keyId', 'account', 'keySpec', 'keyUsage', 'origin'] as const)('refuses another %s', (field) => {
    const others = {
      keyId: 'x',
      account: '444455556666',
      keySpec: 'HMAC_256',
      keyUsage: 'SIGN_VERIFY',
      origin: 'EXTERNAL',
    };
    const other = { ...header, [field]: others[field] } as typeof header;
    const materialId = materialIdOf(rotated.materialIdKey, { keyId: other.keyId, material: secret });
    const forged = sealToken(ExportedKeyToken, { header: { ...other, materialId }, secret }, sealer);
    expect(() => check(forged, token)).toThrow(refused('cannot-open'));
  });

  test('refuses other material, of the same and of another length', () => {
    for (const other of [Buffer.alloc(32, 8), Buffer.alloc(33, 7)]) {
      const materialId = materialIdOf(rotated.materialIdKey, { keyId, material: other });
      const forged = sealToken(ExportedKeyToken, { header: { ...header, materialId }, secret: other }, sealer);
      expect(() => check(forged, token)).toThrow(refused('cannot-open'));
    }
  });

  test('refuses a token of version 1, which would not be bound to its account any more', () => {
    const downgraded = sealToken(ExportedKeyTokenV1, { header: headerV1, secret }, sealer);
    expect(labelOf(downgraded)).toBe(ExportedKeyTokenV1.label);
    expect(() => check(downgraded, token)).toThrow(refused('cannot-open'));
  });

  test("refuses another principal's or another secret, and rubbish whose header names the active domain key", () => {
    const checkCredential = (forged: { principal?: string; secret?: string }) => () =>
      checkResealed(
        sealToken(
          CredentialToken,
          { header: { ...owner, ...forged }, secret: Buffer.from(forged.secret ?? 'secret') } as never,
          sealer,
        ),
        { token: credential },
        rotated,
      );
    expect(checkCredential({})).not.toThrow();
    for (const forged of [
      { principal: 'arn:aws:iam::000000000000:user/b' },
      { secret: 'another' },
      { secret: 'other secret' },
    ])
      expect(checkCredential(forged)).toThrow(refused('cannot-open'));
    const stranger = testKeyring({ active: { ...testDomainKey('3'), id: two.id } });
    const rubbish = sealToken(ExportedKeyToken, { header, secret }, { keyring: stranger, nonce });
    expect(() => check(rubbish, token)).toThrow(refused('cannot-open'));
  });
});
