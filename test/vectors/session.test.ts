import { goldenKeyring } from '@keyfleet/test-support/golden';
import { createDecipheriv, createPrivateKey, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openSessionToken } from '@keyfleet/hsm-worker/boundary/session-token';
import { encodedPublicKey, isSignatureOf } from '@keyfleet/shared/domain/signature';
import { agree, decapsulateWith } from '@keyfleet/shared/hsm/ephemeral-keys';
import {
  Answer,
  DelegatedMessage,
  Hello,
  sha256,
  SignedMessage,
  StreamAccept,
  StreamOpen,
} from '@keyfleet/shared/hsm/session';
import { streamKeys, transportKey } from '@keyfleet/shared/hsm/stream-keys';
import { expect, test } from 'vitest';

const vectors = JSON.parse(readFileSync(join(import.meta.dirname, 'kms/session.json'), 'utf8'));
const bytesOf = (base64: string): Buffer => Buffer.from(base64, 'base64');
const privateKeyOf = (base64: string): KeyObject =>
  createPrivateKey({ key: bytesOf(base64), format: 'der', type: 'pkcs8' });
const publicPart = (base64: string): Buffer => encodedPublicKey(privateKeyOf(base64));

const { host, member, stream } = vectors;
const [signedHello, signedAnswer, signedOpen, signedAccept] = [
  vectors.signedHello,
  vectors.signedAnswer,
  vectors.signedOpen,
  vectors.signedAccept,
].map(bytesOf) as [Buffer, Buffer, Buffer, Buffer];
const hello = Hello.decode(SignedMessage.decode(signedHello).message);
const answer = Answer.decode(SignedMessage.decode(signedAnswer).message);
const open = StreamOpen.decode(DelegatedMessage.decode(signedOpen).message);
const accept = StreamAccept.decode(SignedMessage.decode(signedAccept).message);

test('every message of a session is encoded as it was', () => {
  for (const [format, value, bytes] of [
    [Hello, hello, SignedMessage.decode(signedHello).message],
    [Answer, answer, SignedMessage.decode(signedAnswer).message],
    [StreamOpen, open, DelegatedMessage.decode(signedOpen).message],
    [StreamAccept, accept, SignedMessage.decode(signedAccept).message],
  ] as const) {
    expect(format.encode(value as never)).toEqual(Buffer.from(bytes));
  }
  expect(SignedMessage.encode(SignedMessage.decode(signedHello))).toEqual(signedHello);
  expect(DelegatedMessage.encode(DelegatedMessage.decode(signedOpen))).toEqual(signedOpen);
  expect(hello).toMatchObject({ domain: vectors.domain, hostId: host.hostId, issuedAt: vectors.issuedAt });
});

test('every signature of a session verifies as it did', () => {
  for (const [signer, signed] of [
    [host, signedHello],
    [member, signedAnswer],
    [member, signedAccept],
  ] as const) {
    const { message, signature } = SignedMessage.decode(signed);
    expect(isSignatureOf(publicPart(signer.signingKey), message, signature)).toBe(true);
  }
  const { message, signature } = DelegatedMessage.decode(signedOpen);
  const key = Buffer.from(hello.delegatedKey);
  const delegatedKey = createPublicKey({ key, format: 'raw-public', asymmetricKeyType: 'ed25519' });
  expect(verify(null, message, delegatedKey, signature)).toBe(true);
});

test('the session key comes out of the answer and out of the session token', async () => {
  expect(answer.helloHash).toEqual(sha256(signedHello));
  const agreed = await agree(privateKeyOf(host.ephemeralKey), answer.ephemeralKey);
  const key = transportKey(agreed, answer.helloHash, answer.memberId);
  expect(key.export()).toEqual(bytesOf(vectors.transportKey));
  const decipher = createDecipheriv('aes-256-gcm', key, Buffer.alloc(12));
  decipher.setAuthTag(answer.sealedSessionKey.subarray(-16));
  const opened = Buffer.concat([decipher.update(answer.sealedSessionKey.subarray(0, -16)), decipher.final()]);
  expect(opened).toEqual(bytesOf(vectors.sessionKey));

  const grant = openSessionToken(open.sessionToken, goldenKeyring(vectors));
  expect(grant.sessionKey.export()).toEqual(bytesOf(vectors.sessionKey));
  expect(Buffer.from(grant.signedHello)).toEqual(signedHello);
  expect(grant.expiresAt - grant.notBefore).toBe(3_600_000);
});

test('the keys of a stream come out of three secrets and both opening messages', async () => {
  expect(accept.openHash).toEqual(sha256(signedOpen));
  const { sessionKey } = openSessionToken(open.sessionToken, goldenKeyring(vectors));
  const agreed = await agree(privateKeyOf(stream.agreementKey), accept.ephemeralKey);
  const encapsulated = await decapsulateWith(privateKeyOf(stream.encapsulationKey), accept.kemCiphertext);
  const keys = streamKeys({ sessionKey, agreed, encapsulated }, signedOpen, signedAccept);
  expect(keys.streamId).toEqual(bytesOf(vectors.streamId));
  expect(keys.hostToMember.export()).toEqual(bytesOf(vectors.hostToMember));
  expect(keys.memberToHost.export()).toEqual(bytesOf(vectors.memberToHost));
});
