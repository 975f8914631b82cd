/**
 * Makes test/vectors/kms/session.json: one handshake and one stream, with every private key. A new version of a message
 * makes a new file in place of the old one, for nothing of a session is kept.
 * Run with Node: `node test/vectors/make-session-vectors.ts`.
 */
import { FakeDomain, newHost, newWorker } from '@keyfleet/test-support/session-pair';
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { signBytes } from '@keyfleet/shared/domain/signature';
import { agree, decapsulateWith, newAgreementKey, newEncapsulationKey } from '@keyfleet/shared/hsm/ephemeral-keys';
import {
  Answer,
  DelegatedMessage,
  Hello,
  sha256,
  SignedMessage,
  StreamAccept,
  StreamOpen,
} from '@keyfleet/shared/hsm/session';
import { protocols } from '@keyfleet/shared/hsm/protocol';
import { streamKeys, transportKey } from '@keyfleet/shared/hsm/stream-keys';
import { openSessionToken } from '@keyfleet/hsm-worker/boundary/session-token';

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const pkcs8 = (key: KeyObject): string => base64(key.export({ format: 'der', type: 'pkcs8' }));

const host = newHost();
const domain = new FakeDomain([host]);
const { service } = newWorker(domain);
const hostEphemeral = await newAgreementKey();
const delegated = generateKeyPairSync('ed25519');
const hello = Hello.encode({
  domain: 'test',
  hostId: host.operatorId,
  ephemeralKey: hostEphemeral.publicKey,
  delegatedKey: delegated.publicKey.export({ format: 'raw-public' }),
  issuedAt: domain.clock.now(),
});
const signedHello = SignedMessage.encode({ message: hello, signature: signBytes(host.privateKey, hello) });
const signedAnswer = await service.negotiate(signedHello);
const answer = Answer.decode(SignedMessage.decode(signedAnswer).message);
const { sessionKey } = openSessionToken(answer.sessionToken, domain.keyring);
const agreed = await agree(hostEphemeral.privateKey, answer.ephemeralKey);
const transport = transportKey(agreed, sha256(signedHello), answer.memberId);

const agreement = await newAgreementKey();
const encapsulation = await newEncapsulationKey();
const open = StreamOpen.encode({
  sessionToken: answer.sessionToken,
  nonce: randomBytes(32),
  ephemeralKey: agreement.publicKey,
  encapsulationKey: encapsulation.publicKey,
  versions: [...protocols.keys()],
});
const signedOpen = DelegatedMessage.encode({ message: open, signature: sign(null, open, delegated.privateKey) });
const accepted = Promise.withResolvers<Uint8Array>();
await service.openStream(signedOpen, accepted.resolve);
const signedAccept = await accepted.promise;
const accept = StreamAccept.decode(SignedMessage.decode(signedAccept).message);
const keys = streamKeys(
  {
    sessionKey,
    agreed: await agree(agreement.privateKey, accept.ephemeralKey),
    encapsulated: await decapsulateWith(encapsulation.privateKey, accept.kemCiphertext),
  },
  signedOpen,
  signedAccept,
);

const vectors = {
  about: 'One handshake and one stream (docs/formats.md, "Session"). Keys are PKCS#8 or raw, everything in base64.',
  domain: 'test',
  domainKeys: domain.keys.map(({ id, key }) => ({ id, key: key.export().toString('hex') })),
  host: { hostId: host.operatorId, signingKey: pkcs8(host.privateKey), ephemeralKey: pkcs8(hostEphemeral.privateKey) },
  member: { memberId: 'hsm-1', signingKey: pkcs8(domain.identities['hsm-1']) },
  issuedAt: domain.clock.now(),
  signedHello: base64(signedHello),
  signedAnswer: base64(signedAnswer),
  transportKey: base64(transport.export()),
  sessionKey: base64(sessionKey.export()),
  stream: { agreementKey: pkcs8(agreement.privateKey), encapsulationKey: pkcs8(encapsulation.privateKey) },
  signedOpen: base64(signedOpen),
  signedAccept: base64(signedAccept),
  streamId: base64(keys.streamId),
  hostToMember: base64(keys.hostToMember.export()),
  memberToHost: base64(keys.memberToHost.export()),
};
writeFileSync(join(import.meta.dirname, 'kms/session.json'), `${JSON.stringify(vectors, undefined, 2)}\n`);
