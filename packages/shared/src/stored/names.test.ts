import { expect, test } from 'vitest';
import { grantsAt, retirableAt } from './grants.ts';
import {
  accessKeyAt,
  accessKeyUseAt,
  aliasesAt,
  BEAT,
  confirmedAt,
  eventsAt,
  dueAt,
  firstAccessKeyAt,
  fleetKeysAt,
  iamAt,
  keyAt,
  keysAt,
  leaseAt,
  keyStoresAt,
  patternOf,
  proposalAt,
  proposalsAt,
  ratesAt,
  resealProgressAt,
  sightingAt,
  signedAt,
  RECORD_KEYS,
  recordFenceAt,
  RESTORE,
  scopeOf,
  secretAt,
  storeAt,
  storedNameOf,
  type StoredKind,
  tokensAt,
} from './names.ts';

const scope = { accountId: '111122223333', region: 'us-east-1' };

const made = {
  key: keyAt('us-east-1', '1234abcd-12ab-34cd-56ef-1234567890ab'),
  accessKey: accessKeyAt('AKIAEXAMPLE'),
  accessKeyUse: accessKeyUseAt('AKIAEXAMPLE'),
  firstAccessKey: firstAccessKeyAt(scope.accountId),
  secret: secretAt('markers'),
  aliases: aliasesAt(scope)[0],
  aliasNames: aliasesAt(scope)[1],
  aliasTargets: aliasesAt(scope)[2],
  keys: keysAt(scope, 15),
  oldKeys: keysAt(scope),
  due: dueAt(3),
  events: eventsAt('us-east-1', 'x'),
  iam: iamAt(scope.accountId)[0],
  iamNames: iamAt(scope.accountId)[1],
  iamLinks: iamAt(scope.accountId)[2],
  grants: grantsAt({ region: 'us-east-1', keyId: 'x' })[0],
  grantIndex: grantsAt({ region: 'us-east-1', keyId: 'x' })[1],
  retirable: retirableAt('us-east-1', 'arn:aws:iam::111122223333:role/team/reader'),
  tokens: tokensAt('example.org'),
  store: storeAt('example.org'),
  proposals: proposalsAt('example.org'),
  proposal: proposalAt('example.org', 'ab12'),
  signed: signedAt('example.org', 'anna'),
  lease: leaseAt('example.org'),
  confirmed: confirmedAt('example.org'),
  sighting: sightingAt('example.org', 7),
  resealProgress: resealProgressAt('example.org', 7),
  oldResealProgress: 'kf:domain:{example.org}:reseal:7',
  restore: RESTORE,
  fleetKeys: fleetKeysAt('marker-key'),
  recordKeys: RECORD_KEYS,
  recordFence: recordFenceAt('0'),
  keyStores: keyStoresAt(scope)[0],
  keyStoreKeys: keyStoresAt(scope)[1],
  rates: ratesAt(scope),
  beat: BEAT,
} satisfies Record<StoredKind, string>;

test.each(Object.entries(made))('the name of kind %s is known as that, and SCAN finds it', (kind, name) => {
  expect(storedNameOf(name)?.kind).toBe(kind);
  const pattern = patternOf(kind as StoredKind);
  expect(pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern).toBe(true);
});

test('all values that one step writes have one hash tag', () => {
  const tagOf = (name: string) => storedNameOf(name)?.tag;
  expect(new Set(aliasesAt(scope).map(tagOf)).size).toBe(1);
  expect(new Set(keyStoresAt(scope).map(tagOf)).size).toBe(1);
  expect(new Set(iamAt(scope.accountId).map(tagOf)).size).toBe(1);
  expect(new Set([tokensAt('d'), storeAt('d'), proposalsAt('d'), proposalAt('d', 'x')].map(tagOf))).toEqual(
    new Set(['d']),
  );
});

test('a scope is read from the names that have one, and from no other', () => {
  expect(scopeOf(made.aliases, 'aliases')).toEqual(scope);
  expect(scopeOf(made.oldKeys, 'oldKeys')).toEqual(scope);
  expect([made.keys, made.aliasNames, 'kf:else'].map((name) => scopeOf(name, 'oldKeys'))).toEqual(
    Array.from({ length: 3 }),
  );
});

test.each(['kf:key:x', 'kf:', 'kf:keys:{a}', 'xkf:beat', 'kf:beatx', 'kf:newer:{x}'])(
  '%j is no name it knows',
  (name) => {
    expect(storedNameOf(name)).toBeUndefined();
  },
);
