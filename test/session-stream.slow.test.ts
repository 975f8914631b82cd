import { StreamOpening } from '@keyfleet/frontend/hsm/open-channel';
import { type HostSession } from '@keyfleet/frontend/hsm/negotiation';
import { sealSessionToken } from '@keyfleet/hsm-worker/boundary/session-token';
import { signBytes } from '@keyfleet/shared/domain/signature';
import { DelegatedMessage, Hello, sha256, SignedMessage, StreamAccept, StreamOpen } from '@keyfleet/shared/hsm/session';
import { protocols } from '@keyfleet/shared/hsm/protocol';
import {
  connected,
  delegated,
  flipped,
  host,
  HOUR_MS,
  MINUTE_MS,
  openedBy,
  opens,
  startNegotiation,
} from '@keyfleet/test-support/connected-session';
import {
  FakeDomain,
  negotiate,
  newHost,
  newIdentity,
  newWorker,
  operatorOf,
} from '@keyfleet/test-support/session-pair';
import { createSecretKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';

const refused = expect.objectContaining({ name: 'SessionRefusedError', message: '' });

describe('a member refuses a stream', () => {
  test('when the session has expired, with a minute of tolerance for clocks', async () => {
    const { domain, worker, session } = await connected();
    domain.clock.advance(HOUR_MS + MINUTE_MS - 1);
    await opens(worker, session);
    domain.clock.advance(1);
    await expect(opens(worker, session)).rejects.toThrow(refused);
  });

  test('when the session begins in its future', async () => {
    const { domain, worker, session } = await connected();
    domain.clock.advance(-MINUTE_MS - 1);
    await expect(opens(worker, session)).rejects.toThrow(refused);
  });

  test('when the host was removed from the domain', async () => {
    const { domain, worker, session } = await connected();
    domain.change({ operators: [] });
    await expect(opens(worker, session)).rejects.toThrow(refused);
  });

  test('when the host has another key since, or another role', async () => {
    const { domain, worker, session } = await connected();
    domain.change({ operators: [operatorOf(newHost(), 'service-host')] });
    await expect(opens(worker, session)).rejects.toThrow(refused);
    domain.change({ operators: [operatorOf(host, 'scheduler')] });
    await expect(opens(worker, session)).rejects.toThrow(refused);
  });

  test('with a token of another domain, even one of the same name', async () => {
    const { domain: elsewhere, session } = await connected();
    const worker = newWorker(new FakeDomain([host]));
    await expect(opens(worker, session)).rejects.toThrow(refused);
    expect(worker.recorded.unknownDomainKeys).toBe(1);
    const third = new FakeDomain([host], 'other');
    third.keys = elsewhere.keys;
    await expect(opens(newWorker(third), session)).rejects.toThrow(refused);
  });

  test('with any bit of the token flipped', async () => {
    const { worker, session } = await connected();
    const { sessionToken, delegatedKey } = session;
    const open = openedBy((await StreamOpening.start(session, protocols)).open);
    for (let bit = 0; bit < sessionToken.length * 8; bit += 5) {
      const changed = delegated(delegatedKey, { ...open, sessionToken: flipped(sessionToken, bit) });
      await expect(worker.service.openStream(changed, () => {})).rejects.toThrow(refused);
    }
  });

  test('that its host did not sign', async () => {
    const { worker, session } = await connected();
    const { open } = await StreamOpening.start(session, protocols);
    const other = generateKeyPairSync('ed25519').privateKey;
    await expect(worker.service.openStream(delegated(other, openedBy(open)), () => {})).rejects.toThrow(refused);
    const changed = { ...openedBy(open), nonce: Buffer.alloc(32) };
    const { signature } = DelegatedMessage.decode(open);
    const spliced = DelegatedMessage.encode({ message: StreamOpen.encode(changed), signature });
    await expect(worker.service.openStream(spliced, () => {})).rejects.toThrow(refused);
  });

  test('with an ephemeral key that is no point of the curve, or spelled otherwise', async () => {
    const { worker, session } = await connected();
    const { ephemeralKey } = openedBy((await StreamOpening.start(session, protocols)).open);
    const hybrid = Buffer.from(ephemeralKey);
    hybrid[0] = 6 | (ephemeralKey[96]! & 1);
    for (const key of [flipped(ephemeralKey, 400), hybrid, Buffer.concat([Buffer.of(4), Buffer.alloc(96)])]) {
      await expect(opens(worker, session, { ephemeralKey: key })).rejects.toThrow(refused);
    }
    await expect(opens(worker, session, { encapsulationKey: Buffer.alloc(1568, 255) })).rejects.toThrow(refused);
  });

  test('with no token at all', async () => {
    const worker = newWorker(new FakeDomain([host]));
    await expect(worker.service.openStream(Buffer.alloc(0), () => {})).rejects.toThrow(refused);
  });
});

describe('a domain key alone', () => {
  /** A session that whoever has a domain key makes up: in this host's name, with keys of its own. */
  function forged(
    domain: FakeDomain,
    change: { signedHello: Uint8Array; issuedAt?: number; keyring?: FakeDomain['keyring']; expiresAt?: number },
    delegatedKey: KeyObject,
  ): HostSession {
    const { signedHello, keyring = domain.keyring, expiresAt = domain.clock.now() + HOUR_MS } = change;
    const sessionKey = createSecretKey(randomBytes(32));
    const sessionId = randomBytes(16);
    const notBefore = domain.clock.now();
    const sessionToken = sealSessionToken(
      { sessionId, sessionKey, signedHello, notBefore, expiresAt },
      { keyring, nonce: randomBytes },
    );
    return {
      memberId: 'hsm-1',
      sessionId,
      sessionKey,
      sessionToken,
      delegatedKey,
      generation: domain.state.generation,
      renewAt: 0,
      expiresAt,
    };
  }

  /** A hello like the host's, with a delegated key of the attacker's, signed by whoever the attacker is. */
  async function helloBy(signer: KeyObject, domain: FakeDomain) {
    const delegatedPair = generateKeyPairSync('ed25519');
    const { hello } = await startNegotiation(domain);
    const fields = Hello.decode(SignedMessage.decode(hello).message);
    const message = Hello.encode({
      ...fields,
      delegatedKey: delegatedPair.publicKey.export({ format: 'raw-public' }),
    });
    const signedHello = SignedMessage.encode({ message, signature: signBytes(signer, message) });
    return { signedHello, delegatedKey: delegatedPair.privateKey };
  }

  test('opens no session in the name of a host that did not sign for it', async () => {
    const domain = new FakeDomain([host]);
    const worker = newWorker(domain);
    const { signedHello, delegatedKey } = await helloBy(newIdentity(), domain);
    await expect(opens(worker, forged(domain, { signedHello }, delegatedKey))).rejects.toThrow(refused);
    // The same with the host's own signature is good: it is what the test is about.
    const own = await helloBy(host.privateKey, domain);
    await opens(worker, forged(domain, { signedHello: own.signedHello }, own.delegatedKey));
  });

  test('makes no use of a hello that it saw: the stream must be opened by the key that the hello names', async () => {
    const domain = new FakeDomain([host]);
    const { hello: signedHello } = await startNegotiation(domain);
    const own = generateKeyPairSync('ed25519').privateKey;
    await expect(opens(newWorker(domain), forged(domain, { signedHello }, own))).rejects.toThrow(refused);
  });

  test('makes no hello last: a session lives an hour, from when its host asked', async () => {
    const domain = new FakeDomain([host]);
    const worker = newWorker(domain);
    const { signedHello, delegatedKey } = await helloBy(host.privateKey, domain);
    const endless = { signedHello, expiresAt: domain.clock.now() + HOUR_MS + 1 };
    await expect(opens(worker, forged(domain, endless, delegatedKey))).rejects.toThrow(refused);
    domain.clock.advance(MINUTE_MS + 1);
    await expect(opens(worker, forged(domain, { signedHello }, delegatedKey))).rejects.toThrow(refused);
  });

  test('seals no session that is accepted after its owner was removed, nor an hour after a rotation', async () => {
    for (const end of ['removal', 'rotation'] as const) {
      const domain = new FakeDomain([host]);
      const worker = newWorker(domain);
      const { keyring } = domain;
      if (end === 'removal') domain.remove('hsm-2');
      else domain.rotate();
      const sealed = async () => {
        // Even with the host's own signature.
        const { signedHello, delegatedKey } = await helloBy(host.privateKey, domain);
        return forged(domain, { signedHello, keyring }, delegatedKey);
      };
      if (end === 'rotation') {
        await opens(worker, await sealed());
        domain.clock.advance(HOUR_MS + 10 * MINUTE_MS);
      }
      await expect(opens(worker, await sealed())).rejects.toThrow(refused);
    }
  });

  test('of before the newest is good for no session at a member that restarted', async () => {
    const { domain, worker, session } = await connected();
    domain.rotate();
    await opens(worker, session);
    domain.restart();
    await expect(opens(worker, session)).rejects.toThrow(refused);
    await opens(worker, await negotiate(domain, host, worker.service));
  });
});

describe('a host refuses what accepts its stream', () => {
  async function accepted(change: (accept: StreamAccept) => Partial<StreamAccept>, signer?: KeyObject | 'hsm-2') {
    const domain = new FakeDomain([host]);
    domain.change({});
    const { worker, session } = await connected(domain);
    const opening = await StreamOpening.start(session, protocols);
    const answer = Promise.withResolvers<Uint8Array>();
    await worker.service.openStream(opening.open, answer.resolve);
    const accept = StreamAccept.decode(SignedMessage.decode(await answer.promise).message);
    const message = StreamAccept.encode({ ...accept, ...change(accept) });
    const signature = signBytes(
      signer === 'hsm-2' ? domain.identities[signer] : (signer ?? domain.identities['hsm-1']),
      message,
    );
    return opening.finish(SignedMessage.encode({ message, signature }), domain);
  }

  test.each([
    ['with the signature of who is no member', () => ({}), newIdentity(), 'does not verify'],
    ['in the name of another member', () => ({ memberId: 'hsm-2' }), undefined, 'does not verify'],
    ['in the name of nobody', () => ({ memberId: 'hsm-9' }), undefined, 'not a member'],
    ['for another stream', () => ({ openHash: sha256(Buffer.of(1)) }), undefined, 'another stream'],
    ['with an older domain token', () => ({ generation: 1 }), undefined, 'older'],
    ['with a newer domain token that nobody shows', () => ({ generation: 3 }), undefined, 'newer'],
    ['with another domain token of the generation', () => ({ tokenHash: Buffer.alloc(32) }), undefined, 'forked'],
    [
      'of a session that another member made',
      () => ({ memberId: 'hsm-2' }),
      'hsm-2' as const,
      'a session that hsm-1 made',
    ],
  ])('%s', async (_case, change, signer, why) => {
    await accepted(() => ({}));
    await expect(accepted(change, signer)).rejects.toThrow(why);
  });

  test('of before, which somebody recorded, and that does not prove what the member has now', async () => {
    const { domain, worker, session } = await connected();
    const recorded = Promise.withResolvers<Uint8Array>();
    const before = await StreamOpening.start(session, protocols);
    await worker.service.openStream(before.open, recorded.resolve);
    domain.change({});
    const opening = await StreamOpening.start(session, protocols);
    await expect(opening.finish(await recorded.promise, domain)).rejects.toThrow('another stream');
    expect(domain.others).toEqual([]);
  });
});
