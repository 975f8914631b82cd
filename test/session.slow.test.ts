import { type DomainProof, isProofOf } from '@keyfleet/frontend/hsm/known-domain';
import { Negotiation } from '@keyfleet/frontend/hsm/negotiation';
import { signBytes } from '@keyfleet/shared/domain/signature';
import { Answer, SignedMessage } from '@keyfleet/shared/hsm/session';
import {
  connected,
  flipped,
  host,
  HOUR_MS,
  MINUTE_MS,
  opens,
  startNegotiation,
} from '@keyfleet/test-support/connected-session';
import { FakeDomain, negotiate, newHost, newWorker, operatorOf } from '@keyfleet/test-support/session-pair';
import { describe, expect, test } from 'vitest';

const DAY_MS = 24 * HOUR_MS;
const refused = expect.objectContaining({ name: 'SessionRefusedError', message: '' });

describe('a session', () => {
  test('made with one member is served by every member', async () => {
    const { domain, session } = await connected();
    await opens(newWorker(domain, 'hsm-2'), session);
  });

  test('outlives the rotation of the domain key', async () => {
    const { domain, worker, session } = await connected();
    domain.rotate();
    await opens(worker, session);
  });

  test('has a key and a token of its own', async () => {
    const { domain, worker, session } = await connected();
    const other = await negotiate(domain, host, worker.service);
    expect(session.sessionKey.equals(other.sessionKey)).toBe(false);
    expect(session.sessionToken).not.toEqual(other.sessionToken);
  });

  test('is renewed at half its hour', async () => {
    const { domain, session } = await connected();
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
    ['of more than a minute ago', ({ clock }: FakeDomain) => clock.advance(MINUTE_MS + 1)],
    ['of more than a minute ahead', ({ clock }: FakeDomain) => clock.advance(-MINUTE_MS - 1)],
  ])('%s', async (_case, change) => {
    const domain = new FakeDomain([host]);
    const { hello } = await startNegotiation(domain);
    change(domain);
    await expect(newWorker(domain).service.negotiate(hello)).rejects.toThrow(refused);
  });

  test('that it answered before, under whatever signature', async () => {
    const domain = new FakeDomain([host]);
    const worker = newWorker(domain);
    const { hello } = await startNegotiation(domain);
    await worker.service.negotiate(hello);
    await expect(worker.service.negotiate(hello)).rejects.toThrow(refused);
    const { message } = SignedMessage.decode(hello);
    const again = SignedMessage.encode({ message, signature: signBytes(host.privateKey, message) });
    await expect(worker.service.negotiate(again)).rejects.toThrow(refused);
    domain.clock.advance(300 * DAY_MS);
    await expect(worker.service.negotiate(hello)).rejects.toThrow(refused);
  });

  test('that comes twice at once, all but once', async () => {
    const domain = new FakeDomain([host]);
    const worker = newWorker(domain);
    const { hello } = await startNegotiation(domain);
    const answers = await Promise.allSettled([1, 2, 3].map(() => worker.service.negotiate(hello)));
    expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  test('with any bit flipped, or cut short', async () => {
    const domain = new FakeDomain([host]);
    const worker = newWorker(domain);
    const { hello } = await startNegotiation(domain);
    for (let at = 0; at < hello.length; at += 7) {
      await expect(worker.service.negotiate(flipped(hello, at * 8 + (at % 8)))).rejects.toThrow(refused);
      await expect(worker.service.negotiate(hello.subarray(0, at))).rejects.toThrow(refused);
    }
  });
});

describe('a host refuses the answer', () => {
  /** A member's answer with parts of it replaced, signed by that member. */
  function answered(domain: FakeDomain, signed: Uint8Array, change: Partial<Answer>): Buffer {
    const message = Answer.encode({ ...Answer.decode(SignedMessage.decode(signed).message), ...change });
    return SignedMessage.encode({ message, signature: signBytes(domain.identities['hsm-1'], message) });
  }

  test('of an HSM that is not a member', async () => {
    const domain = new FakeDomain([host]);
    const impostor = new FakeDomain([host]);
    const negotiation = await startNegotiation(domain);
    const answer = await newWorker(impostor).service.negotiate(negotiation.hello);
    await expect(negotiation.finish(answer)).rejects.toThrow('the signature of hsm-1 does not verify');
  });

  test('of a member that was removed, or has other keys since', async () => {
    const domain = new FakeDomain([host]);
    const former = newWorker(domain.copy());
    domain.remove('hsm-1');
    const negotiation = await startNegotiation(domain);
    const answer = await former.service.negotiate(negotiation.hello);
    await expect(negotiation.finish(answer)).rejects.toThrow('not a member');
  });

  test('of an offline member, whose file somebody found: it proves nothing either', async () => {
    const domain = new FakeDomain([host]);
    const impostor = newWorker(domain.copy());
    domain.change({ version: 3, members: domain.state.members.map((member) => ({ ...member, offline: true })) });
    const negotiation = await startNegotiation(domain);
    const answer = await impostor.service.negotiate(negotiation.hello);
    await expect(negotiation.finish(answer)).rejects.toThrow('hsm-1 is an offline member, which serves nobody');
    expect(domain.others).toEqual([]);
  });

  test.each([
    ['of a member that has an older domain token', { generation: 2 }, 'older'],
    ['of a member that has a newer one that nobody shows', { generation: 4 }, 'newer'],
    ['of a member that has another one of that generation', { tokenHash: Buffer.alloc(32) }, 'forked'],
    ['that gives a session more than its hour', { expiresAt: Date.UTC(2076, 0, 1) }, 'longer than a session'],
    ['that gives it no time at all', { expiresAt: Date.UTC(2025, 0, 1) }, 'shorter than a session'],
    [
      'that gives it less than its hour, as if to be asked again and again',
      { expiresAt: Date.UTC(2026, 0, 1) + HOUR_MS - MINUTE_MS - 1 },
      'shorter than a session',
    ],
    ['to another hello', { helloHash: Buffer.alloc(32) }, 'another hello'],
  ])('%s', async (_case, change, why) => {
    const domain = new FakeDomain([host]);
    domain.change({});
    domain.change({});
    const negotiation = await startNegotiation(domain);
    const answer = await newWorker(domain).service.negotiate(negotiation.hello);
    await expect(negotiation.finish(answered(domain, answer, change))).rejects.toThrow(why);
    await negotiation.finish(answer);
  });

  test('of a member that has another domain token is noted, whichever it is', async () => {
    const domain = new FakeDomain([host]);
    domain.change({});
    domain.change({});
    const negotiation = await startNegotiation(domain);
    const answer = await newWorker(domain).service.negotiate(negotiation.hello);
    for (const change of [{ generation: 2 }, { generation: 4 }, { tokenHash: Buffer.alloc(32) }]) {
      await expect(negotiation.finish(answered(domain, answer, change))).rejects.toThrow('domain token');
    }
    await negotiation.finish(answer);
    expect(domain.others).toEqual([2, 4, 3].map((generation) => ({ memberId: 'hsm-1', generation })));
  });

  test('that somebody recorded, and that does not prove what the member has now', async () => {
    const domain = new FakeDomain([host]);
    const recorded = await newWorker(domain).service.negotiate((await startNegotiation(domain)).hello);
    domain.change({});
    const negotiation = await startNegotiation(domain);
    await expect(negotiation.finish(recorded)).rejects.toThrow('another hello');
    expect(domain.others).toEqual([]);
  });

  test('only until it has the domain token that the member already has', async () => {
    const domain = new FakeDomain([host]);
    const ahead = domain.copy();
    ahead.rotate();
    let looked = 0;
    const known = {
      verified: domain.verified,
      provers: domain.provers,
      unprovenMs: undefined,
      noteProof: async (_: unknown, proof: DomainProof) => isProofOf(known.verified, proof),
      hear: async () => {
        looked++;
        known.verified = ahead.verified;
      },
    };
    const negotiation = await Negotiation.start({ domain: known, host, clock: domain.clock });
    const session = await negotiation.finish(await newWorker(ahead).service.negotiate(negotiation.hello));
    expect(looked).toBe(1);
    expect(session.generation).toBe(ahead.state.generation);
  });

  test('with any bit flipped', async () => {
    const domain = new FakeDomain([host]);
    const negotiation = await startNegotiation(domain);
    const answer = await newWorker(domain).service.negotiate(negotiation.hello);
    for (let at = 0; at < answer.length; at += 11) {
      await expect(negotiation.finish(flipped(answer, at * 8 + (at % 8)))).rejects.toThrow('does not verify');
    }
  });

  test('that carries a hello instead', async () => {
    const negotiation = await startNegotiation(new FakeDomain([host]));
    await expect(negotiation.finish(negotiation.hello)).rejects.toThrow('does not verify');
  });
});
