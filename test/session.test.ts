import { Negotiation } from '@keyfleet/frontend/hsm/session';
import { SignedMessage, StreamOpen } from '@keyfleet/shared/hsm/session';
import { describe, expect, test } from 'vitest';
import { negotiate, newDomainKey, newHost, newWorker, operatorOf, FakeDomain } from './support/session-pair.ts';

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
const host = newHost();
const refused = expect.objectContaining({ name: 'SessionRefusedError', message: '' });

function openOf(sessionToken: Uint8Array): Buffer {
  return StreamOpen.encode({ sessionToken, nonce: Buffer.alloc(32, 1) });
}

function helloOf(domain: string, from = host): Negotiation {
  return new Negotiation({ domain, host: from, clock: { now: () => Date.UTC(2026, 0, 1) } });
}

function opens(worker: ReturnType<typeof newWorker>, sessionToken: Uint8Array): () => unknown {
  return () => worker.service.openStream(openOf(sessionToken), () => {});
}

describe('a session', () => {
  test('made with one member is served by every member', () => {
    const domain = new FakeDomain([host]);
    const session = negotiate(domain, host, newWorker(domain, 'hsm-1').service);
    expect(opens(newWorker(domain, 'hsm-2'), session.sessionToken)).not.toThrow();
  });

  test('outlives the rotation of the domain key', () => {
    const domain = new FakeDomain([host]);
    const worker = newWorker(domain);
    const session = negotiate(domain, host, worker.service);
    domain.keys = [...domain.keys, newDomainKey()];
    domain.change({});
    expect(opens(worker, session.sessionToken)).not.toThrow();
  });

  test('has a key and a token of its own, even for the same hello', () => {
    const domain = new FakeDomain([host]);
    const worker = newWorker(domain);
    const negotiation = helloOf('test');
    const [one, other] = [1, 2].map(() =>
      negotiation.finish(worker.service.negotiate(negotiation.hello), domain.state),
    );
    expect(one!.sessionKey.equals(other!.sessionKey)).toBe(false);
    expect(one!.sessionToken).not.toEqual(other!.sessionToken);
  });

  test('is renewed at half its hour', () => {
    const domain = new FakeDomain([host]);
    const session = negotiate(domain, host, newWorker(domain).service);
    expect(session.renewAt - domain.clock.now()).toBe(HOUR_MS / 2);
  });
});

describe('a member refuses the hello', () => {
  test.each([
    ['of a host the domain does not know', (domain: FakeDomain) => domain.change({ operators: [] })],
    [
      'of an operator who is no service host',
      (domain: FakeDomain) => domain.change({ operators: [operatorOf(host, 'operator')] }),
    ],
    [
      'signed by another key than the host has in the domain',
      (domain: FakeDomain) => domain.change({ operators: [operatorOf(newHost(), 'service-host')] }),
    ],
    ['meant for another domain', (domain: FakeDomain) => domain.change({ domain: 'other' })],
  ])('%s', (_case, change) => {
    const domain = new FakeDomain([host]);
    change(domain);
    const { hello } = helloOf('test');
    expect(() => newWorker(domain).service.negotiate(hello)).toThrow(refused);
  });

  test('with any bit flipped, or cut short', () => {
    const domain = new FakeDomain([host]);
    const worker = newWorker(domain);
    const { hello } = helloOf('test');
    for (let at = 0; at < hello.length; at += 7) {
      const changed = Buffer.from(hello);
      changed[at]! ^= 1 << (at % 8);
      expect(() => worker.service.negotiate(changed)).toThrow(refused);
      expect(() => worker.service.negotiate(hello.subarray(0, at))).toThrow(refused);
    }
  });
});

describe('a host refuses the answer', () => {
  test('of an HSM that is not a member', () => {
    const domain = new FakeDomain([host]);
    const impostor = new FakeDomain([host]);
    const negotiation = helloOf('test');
    const answer = newWorker(impostor).service.negotiate(negotiation.hello);
    expect(() => negotiation.finish(answer, domain.state)).toThrow('does not verify');
  });

  test('to another hello', () => {
    const domain = new FakeDomain([host]);
    const { service } = newWorker(domain);
    const answer = service.negotiate(helloOf('test').hello);
    expect(() => helloOf('test').finish(answer, domain.state)).toThrow('does not verify');
  });

  test('with any bit flipped', () => {
    const domain = new FakeDomain([host]);
    const negotiation = helloOf('test');
    const answer = Buffer.from(newWorker(domain).service.negotiate(negotiation.hello));
    for (let at = 0; at < answer.length; at += 11) {
      const changed = Buffer.from(answer);
      changed[at]! ^= 1 << (at % 8);
      expect(() => negotiation.finish(changed, domain.state)).toThrow('does not verify');
    }
  });

  test('that carries a hello instead', () => {
    const domain = new FakeDomain([host]);
    const negotiation = helloOf('test');
    expect(SignedMessage.decode(negotiation.hello).signature).toHaveLength(96);
    expect(() => negotiation.finish(negotiation.hello, domain.state)).toThrow('does not verify');
  });
});

describe('a member refuses a stream', () => {
  test('when the session has expired, with a minute of tolerance for clocks', () => {
    const domain = new FakeDomain([host]);
    const worker = newWorker(domain);
    const { sessionToken } = negotiate(domain, host, worker.service);
    domain.clock.advance(HOUR_MS + MINUTE_MS - 1);
    expect(opens(worker, sessionToken)).not.toThrow();
    domain.clock.advance(1);
    expect(opens(worker, sessionToken)).toThrow(refused);
  });

  test('when the session begins in its future', () => {
    const domain = new FakeDomain([host]);
    const worker = newWorker(domain);
    const { sessionToken } = negotiate(domain, host, worker.service);
    domain.clock.advance(-MINUTE_MS - 1);
    expect(opens(worker, sessionToken)).toThrow(refused);
  });

  test('when the host was removed from the domain', () => {
    const domain = new FakeDomain([host]);
    const worker = newWorker(domain);
    const { sessionToken } = negotiate(domain, host, worker.service);
    domain.change({ operators: [] });
    expect(opens(worker, sessionToken)).toThrow(refused);
  });

  test('when the host has another key since, or another role', () => {
    const domain = new FakeDomain([host]);
    const worker = newWorker(domain);
    const { sessionToken } = negotiate(domain, host, worker.service);
    domain.change({ operators: [operatorOf(newHost(), 'service-host')] });
    expect(opens(worker, sessionToken)).toThrow(refused);
    domain.change({ operators: [operatorOf(host, 'scheduler')] });
    expect(opens(worker, sessionToken)).toThrow(refused);
  });

  test('with a token of another domain, even one of the same name', () => {
    const elsewhere = new FakeDomain([host]);
    const { sessionToken } = negotiate(elsewhere, host, newWorker(elsewhere).service);
    const worker = newWorker(new FakeDomain([host]));
    expect(opens(worker, sessionToken)).toThrow(refused);
    expect(worker.recorded.unknownDomainKeys).toBe(1);
    const third = new FakeDomain([host], 'other');
    third.keys = elsewhere.keys;
    expect(opens(newWorker(third), sessionToken)).toThrow(refused);
  });

  test('with any bit of the token flipped', () => {
    const domain = new FakeDomain([host]);
    const worker = newWorker(domain);
    const { sessionToken } = negotiate(domain, host, worker.service);
    for (let bit = 0; bit < sessionToken.length * 8; bit++) {
      const changed = Buffer.from(sessionToken);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      expect(opens(worker, changed)).toThrow(refused);
    }
  });

  test('with no token at all', () => {
    const worker = newWorker(new FakeDomain([host]));
    expect(() => worker.service.openStream(Buffer.alloc(0), () => {})).toThrow(refused);
  });
});
