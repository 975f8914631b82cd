import { GrantOperation } from '@keyfleet/shared/api/choices';
import { Writer } from '@keyfleet/shared/encoding/bytes';
import { grantsAt } from '@keyfleet/shared/stored/grants';
import { type StoredKind, storedValues } from '@keyfleet/shared/stored/names';
import { TestDomain } from '@keyfleet/test-support/domain';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import type { Piece } from './format.ts';
import { soundPieces } from './sound.ts';
import { TokenChains } from './sound-tokens.ts';
import { BackupWriter } from './writer.ts';

const key = { region: 'r', keyId: 'k' };
const record = { revision: 7, accountId: '1', createdAt: 5, state: 'PendingDeletion', deletionDate: 9, ...key };
const text = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64');
const keyRecord = text({ ...record, backingKeys: [] });
const grant = { grantId: 'g', ...key, grantee: 'p', issuingAccount: '1', operations: ['Decrypt'], constraints: {} };
/** A record of less than a megabyte that would have gigabytes of entries in lists. */
const many = (one: unknown): unknown[] => Array.from({ length: 80_000 }, () => one);
const longName = 'n'.repeat(9_000);
const user = { kind: 'user', name: 'Alice', groups: ['staff'] };
const hash = (name: string, value: Record<string, string>): Piece => ({ name, type: 'hash', value });
/** The beginning of what hsm-workers seal, which names the domain key. */
const sealed = (domainKeyId: string, accessKeyId = 'keyfleet-record-key-1') => {
  const header = new Writer();
  for (const field of ['label', 'id', domainKeyId, accessKeyId]) header.text(field);
  const token = new Writer();
  token.bytes(header.finish());
  return token.finish().toString('base64');
};
const storeId = randomUUID();
const secret = sealed('ab'.repeat(16));
const recordKey = (name: string, value: string): Piece => ({ name: `kf:secret:{${name}}`, type: 'string', value });
const firstAccessKey = (account: string, value: string): Piece => ({ name: `kf:first-access-key:{${account}}`, type: 'string', value: btoa(value) }); // prettier-ignore
const accessKey = (id: string, record: object): Piece => ({ name: `kf:access-key:{${id}}`, type: 'string', value: text(record) }); // prettier-ignore
const domain = new TestDomain();
domain.rotate();
const tokens = domain.tokens.map((token) => Buffer.from(token).toString('base64'));

let path: string;
beforeEach(() => {
  const dir = mkdtempSync(join(tmpdir(), 'keyfleet-backup-'));
  path = join(dir, 'backup');
  return () => rmSync(dir, { recursive: true });
});

async function soundOf(...pieces: Piece[]): Promise<{ sound: Piece[]; leftOut: string[] }> {
  rmSync(path, { force: true });
  {
    await using writer = await BackupWriter.begin(path, { keyfleet: 'backup', version: 2, begunAt: '2026-11-26T00:00:00Z', runIds: [] }); // prettier-ignore
    await writer.write(pieces);
    await writer.finish();
  }
  const leftOut: string[] = [];
  const chains = new TokenChains(undefined, { tell() {} });
  const sound = await Array.fromAsync(soundPieces(path, chains, (what) => leftOut.push(what)));
  return { sound: sound.map((piece) => ({ ...piece, from: undefined })), leftOut };
}

/** What stood there, decoded. */
const fieldsOf = (piece: Piece | undefined) =>
  Object.fromEntries(
    Object.entries(piece!.value).map(([field, value]) => [field, Buffer.from(value, 'base64').toString()]),
  );

test('what stands beside the record of a key is made again from it', async () => {
  const name = 'kf:key:{r/k}';
  const lastUsage = text({ usedAt: 3 });
  const planted = { revision: '0', due: 'x', usedAt: '9000000000000000' };
  const beside = Object.fromEntries(Object.entries(planted).map(([field, value]) => [field, btoa(value)]));
  const { sound, leftOut } = await soundOf(hash(name, { record: keyRecord, lastUsage, ...beside, junk: btoa('x') }));
  expect(fieldsOf(sound[0])).toEqual({
    record: atob(keyRecord),
    lastUsage: '{"usedAt":3}',
    revision: '7',
    due: '000000000009/r/1/k',
    usedAt: '3',
  });
  expect(leftOut).toEqual([`${name} junk (not a record of this place)`]);
});

test('what is a record of its place stays, byte for byte', async () => {
  const pieces: Piece[] = [
    hash('kf:aliases:{1/r}', { 'alias/a': text({ targetKeyId: 'k' }) }),
    hash('kf:iam:{1}', { 'user/alice': text(user) }),
    hash(grantsAt(key)[0], { g: text(grant) }),
    hash('kf:domain:{d}:store', { id: btoa(storeId) }),
    recordKey('record-key-1', secret),
    recordKey('record-key-12', sealed('ab'.repeat(16), `keyfleet-record-key-12/${'cd'.repeat(16)}`)),
    { name: 'kf:record-keys', type: 'string', value: btoa('12') },
    accessKey('A', {}),
    firstAccessKey('2', 'A {}'),
    { name: 'kf:domain:{test}:tokens', type: 'list', value: tokens },
  ];
  expect(await soundOf(...pieces)).toEqual({ sound: pieces, leftOut: [] });
});

test('whose the first access key of an account was stays where there is a record of that account', async () => {
  const first = ['1', '2', '3', '4'].map((account) => firstAccessKey(account, 'A'));
  const records = [
    hash('kf:iam:{1}', { 'user/alice': text(user) }),
    accessKey('B', { accountId: '2' }),
    accessKey('C', { accountId: 3 }),
  ];
  const { sound, leftOut } = await soundOf(...first, ...records, hash('kf:iam:{4}', { 'user/bob': text(user) }));
  expect(sound).toEqual([...records, ...first.slice(0, 2)]);
  expect(leftOut.map((what) => what.split(' ')[0])).toEqual([
    'kf:iam:{4}',
    'kf:first-access-key:{3}',
    'kf:first-access-key:{4}',
  ]);
});

test('the keys that frontends share, which nothing here could tell from others, are not restored', async () => {
  const fleetKeys = hash('kf:fleet-keys:{marker-key}', { ['ab'.repeat(16)]: secret });
  expect(await soundOf(fleetKeys)).toEqual({ sound: [], leftOut: [] });
});

test('the largest records that frontends write stay', async () => {
  const arn = `arn:aws-us-gov:iam::111122223333:policy/${'p'.repeat(510)}/${'n'.repeat(128)}`;
  const names = Array.from({ length: 10 }, () => 'g'.repeat(128));
  const accessKeys = ['A', 'B'].map((accessKeyId) => ({ accessKeyId: accessKeyId.repeat(32) }));
  const largeUser = {
    ...user,
    name: 'a'.repeat(128),
    groups: names,
    attached: names.map(() => arn),
    boundary: arn,
    accessKeys,
  };
  const pairs = Array.from({ length: 8 }, (_, i) => [String(i).repeat(384), 'v'.repeat(384)]);
  const largeGrant = {
    ...grant,
    name: 'n'.repeat(256),
    grantee: arn,
    retiring: arn,
    operations: GrantOperation.options,
  };
  const largeKey = { ...record, backingKeys: Array.from({ length: 3_000 }, () => ({ validTo: 1 })) };
  const pieces: Piece[] = [
    hash('kf:iam:{1}', { [`user/${largeUser.name}`]: text(largeUser) }),
    hash(grantsAt(key)[0], { g: text({ ...largeGrant, constraints: { encryptionContextSubset: pairs } }) }),
  ];
  expect(await soundOf(...pieces)).toEqual({ sound: pieces, leftOut: [] });
  expect((await soundOf(hash('kf:key:{r/k}', { record: text(largeKey) }))).leftOut).toEqual([]);
});

test('what is no record of its place is left out and named', async () => {
  const wrong: [Piece, string][] = [
    [hash('kf:key:{r/other}', { record: keyRecord }), 'kf:key:{r/other} record'],
    [hash('kf:key:{r/k}', { record: text({}) }), 'kf:key:{r/k} record'],
    [hash('kf:key:{r/k}', { record: text({ ...record, backingKeys: many({}) }) }), 'kf:key:{r/k} record'],
    [hash('kf:aliases:{1/r}', { 'alias/a': btoa('x') }), 'kf:aliases:{1/r} alias/a'],
    [hash('kf:iam:{1}', { 'user/bob': text(user) }), 'kf:iam:{1} user/bob'],
    [hash('kf:iam:{1}', { x: btoa('x') }), 'kf:iam:{1} x'],
    ...(['attached', 'groups'] as const).map((member): [Piece, string] => [
      hash('kf:iam:{1}', { 'user/alice': text({ ...user, [member]: many('g') }) }),
      'kf:iam:{1} user/alice',
    ]),
    [hash('kf:iam:{1}', { [`user/${longName}`]: text({ ...user, name: longName }) }), 'kf:iam:{1} user/nnn'],
    [hash(grantsAt(key)[0], { g: text({ ...grant, operations: many('Decrypt') }) }), 'kf:grants:{r/k} g'],
    [
      hash(grantsAt(key)[0], { g: text({ ...grant, constraints: { encryptionContextSubset: many(['a', 'b']) } }) }),
      'kf:grants:{r/k} g',
    ],
    [hash(grantsAt(key)[0], { other: text(grant) }), 'kf:grants:{r/k} other'],
    [hash('kf:grants:{r/other}', { g: text(grant) }), 'kf:grants:{r/other} g'],
    [recordKey('record-key-2', btoa('x')), 'kf:secret:{record-key-2} (not a record'],
    [recordKey('record-key-1', sealed('x')), 'kf:secret:{record-key-1} (not a record'],
    [recordKey('record-key-2', secret), 'kf:secret:{record-key-2} (not a record'],
    [recordKey('junk', sealed('ab'.repeat(16), 'keyfleet-junk')), 'kf:secret:{junk} (not a record'],
    [firstAccessKey('1', 'A'), 'kf:first-access-key:{1} (there is no access key'],
    [hash('kf:domain:{d}:store', { x: 'AP8=' }), 'kf:domain:{d}:store x'],
    [hash('kf:domain:{d}:store', { id: 'AP8=' }), 'kf:domain:{d}:store id'],
    [hash('kf:domain:{d}:store', { id: btoa('x'.repeat(36)) }), 'kf:domain:{d}:store id'],
    [{ name: 'kf:record-keys', type: 'string', value: btoa('x') }, 'kf:record-keys'],
    [{ name: 'kf:access-key:{A}', type: 'string', value: btoa('x') }, 'kf:access-key:{A}'],
    ...['x', '', 'A x', 'A '].map((value): [Piece, string] => [
      { name: 'kf:first-access-key:{1}', type: 'string', value: btoa(value) },
      'kf:first-access-key:{1}',
    ]),
    [{ name: 'kf:new-kind:{A}', type: 'string', value: btoa('x') }, 'kf:new-kind:{A} (unknown to this release)'],
  ];
  for (const [piece, named] of wrong) {
    const { sound, leftOut } = await soundOf(piece);
    expect({ piece, sound, leftOut: leftOut.map((what) => what.startsWith(named)) }).toEqual({ piece, sound: [], leftOut: [true] }); // prettier-ignore
  }
});

/** Values that are derived are in no backup. */
const kinds = (Object.keys(storedValues) as StoredKind[]).filter((kind) => storedValues[kind].role !== 'derived');

test.each(kinds)('a value of another type or too long is no %s', async (kind) => {
  const { type, role, maxBytes } = storedValues[kind];
  const name = storedValues[kind].name.replaceAll(/<[^>]+>/g, 'x');
  const other: Piece = type === 'string' ? hash(name, { record: 'AQ==' }) : { name, type: 'string', value: 'AQ==' };
  const long = Buffer.alloc(maxBytes + 1).toString('base64');
  const longer: Piece[] = [
    ...(type === 'string' ? [{ name, type: 'string', value: long } as const] : []),
    ...(type === 'hash' ? [hash(name, { record: long })] : []),
    ...(type === 'list' ? [{ name, type: 'list' as const, value: [long, 'AQ=='] }] : []),
  ];
  const { sound, leftOut } = await soundOf(other, ...longer);
  expect(sound).toEqual([]);
  expect(leftOut.length).toBe(role === 'kept' ? 2 : 0);
});

test("the store's mark, dates and acceptance count anew: what somebody set would outlive him; so goes a former check", async () => {
  const planted = { mark: btoa('999999999999000'), restoredAt: btoa('9'), acceptedAt: btoa('999999999999999') };
  const acceptance = { follows: btoa(storeId), acceptedBy: btoa('anna'), signature: 'AP8=' };
  const store = { id: btoa(storeId), ...planted, ...acceptance, check: 'AP8=' };
  const { sound, leftOut } = await soundOf(hash('kf:domain:{d}:store', store));
  expect(sound).toEqual([hash('kf:domain:{d}:store', { id: btoa(storeId) })]);
  expect(leftOut).toEqual([]);
});
