import { expect, test } from 'vitest';
import { Acknowledged } from './acknowledged.ts';

/** Two frontends, each of which hears the other's announcements. */
function twoFrontends(): [Acknowledged, Acknowledged] {
  const one = new Acknowledged((id, revision) => two.heard(id, revision, 1));
  const two = new Acknowledged((id, revision) => one.heard(id, revision, 1));
  return [one, two];
}

test('a revision older than one that any frontend acknowledged is refused by all, and so is a record that was removed', () => {
  for (const at of [0, 1] as const) {
    const frontends = twoFrontends();
    frontends[at].written('key us-east-1/a b', 3);
    frontends[at].removed('grant 1');
    for (const frontend of frontends) {
      const assertNotOlder = frontend.beginRead();
      expect(() => assertNotOlder('key us-east-1/a b', 2)).toThrow('at revision 2, and revision 3 was acknowledged');
      expect(() => assertNotOlder('grant 1', 7)).toThrow('its removal was acknowledged');
      assertNotOlder('key us-east-1/a b', 3);
      assertNotOlder('key us-east-1/a b', 4);
      assertNotOlder('key us-east-1/other', 1);
    }
  }
});

test('a revision that is a time is later than any that was acknowledged, whoever has the slower clock', () => {
  const [one, two] = twoFrontends();
  expect(one.next('alias a', 100)).toBe(100);
  one.written('alias a', 100);
  expect(two.next('alias a', 90)).toBe(101);
  expect(two.next('alias a', 200)).toBe(200);
  expect(two.next('alias b', 90)).toBe(90);
});

test('a write that is acknowledged while a record is read does not make the answer old', () => {
  const [one] = twoFrontends();
  const assertNotOlder = one.beginRead();
  one.written('key', 2);
  assertNotOlder('key', 1);
  expect(() => one.beginRead()('key', 1)).toThrow();
});

test('an older announcement that comes late takes nothing back', () => {
  const [one] = twoFrontends();
  one.heard('key', 5, 1);
  one.heard('key', 4, 1);
  expect(() => one.beginRead()('key', 4)).toThrow();
});

test('a hundred thousand are kept, and the oldest goes first', () => {
  const [one] = twoFrontends();
  for (let i = 0; i <= 100_000; i++) one.removed(`grant ${i}`);
  one.beginRead()('grant 0', 1);
  expect(() => one.beginRead()('grant 1', 1)).toThrow();
});

test('writes that a frontend acknowledged itself make no room for those that it hears of', () => {
  const [one] = twoFrontends();
  one.removed('grant');
  for (let i = 0; i <= 100_000; i++) one.heard(`key ${i}`, 2, 1);
  expect(() => one.beginRead()('grant', 1)).toThrow();
  one.beginRead()('key 0', 1);
  expect(() => one.beginRead()('key 1', 1)).toThrow();
});

test('what was heard under a record key that is dropped counts no more, and nothing else is heard under it', () => {
  const [one] = twoFrontends();
  one.written('own', 7);
  one.heard('forged', Number.MAX_SAFE_INTEGER, 1);
  one.heard('late', 3, 2);
  expect(() => one.beginRead()('forged', 5)).toThrow();
  one.droppedKeysBefore(2);
  one.heard('forged', Number.MAX_SAFE_INTEGER, 1);
  one.beginRead()('forged', 5);
  expect(one.next('forged', 5)).toBe(5);
  for (const [id, revision] of [
    ['own', 6],
    ['late', 2],
  ] as const)
    expect(() => one.beginRead()(id, revision)).toThrow();
});
