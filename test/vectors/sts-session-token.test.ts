import { createSecretKey, type KeyObject } from 'node:crypto';
import { readSession, sealSession, type SessionContent } from '@keyfleet/frontend/identities/sts-session-token';
import { expect, test } from 'vitest';
import vectors from './kms/sts-session-token-2.json' with { type: 'json' };

const openSession = (key: KeyObject, token: string) => readSession(token)?.open(key);

test.each(vectors)(
  'the session token of $content.name is sealed as it was, and opens',
  ({ key, domainKeyId, salt, content, token }) => {
    const secret = createSecretKey(Buffer.from(key, 'hex'));
    expect(sealSession({ domainKeyId, key: secret }, content as SessionContent, Buffer.from(salt, 'hex'))).toBe(token);
    expect(readSession(token)?.domainKeyId).toBe(domainKeyId);
    expect(openSession(secret, token)).toEqual(content);
  },
);

test('no other text opens: none that is altered, cut, spelled otherwise or of another key', () => {
  const [{ key, token } = vectors[0]!] = vectors;
  const secret = createSecretKey(Buffer.from(key, 'hex'));
  const bytes = Buffer.from(token, 'base64');
  for (let at = 0; at < bytes.length; at++) {
    const altered = Buffer.from(bytes);
    altered[at]! ^= 1;
    expect(openSession(secret, altered.toString('base64'))).toBeUndefined();
    expect(openSession(secret, bytes.subarray(0, at).toString('base64'))).toBeUndefined();
  }
  for (const text of [`${token}=`, ` ${token}`, token.replaceAll('+', '-'), `${token}AAAA`, '']) {
    if (text !== token) expect(openSession(secret, text)).toBeUndefined();
  }
  expect(openSession(createSecretKey(Buffer.alloc(32)), token)).toBeUndefined();
});
