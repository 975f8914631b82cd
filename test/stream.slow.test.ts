import { GenerateRandom } from '@keyfleet/shared/hsm/commands';
import { MAX_FRAME_ENTRIES, MAX_INPUT_BYTES } from '@keyfleet/shared/hsm/frame';
import { HostEnd, negotiate, newHost, newWorker, operatorOf, FakeDomain } from '@keyfleet/test-support/session-pair';
import { setImmediate } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';

const host = newHost();
const over = expect.objectContaining({ name: 'FrameError', message: '' });
const newKey = {
  keyId: 'k',
  account: '111122223333',
  keySpec: 'SYMMETRIC_DEFAULT',
  keyUsage: 'ENCRYPT_DECRYPT',
} as const;

/** A stream to a worker whose GenerateRandom answers as many zeros, and whose GenerateBackingKey answers a token. */
async function connect(options: Parameters<typeof newWorker>[2] = {}) {
  const domain = new FakeDomain([host]);
  const made: string[] = [];
  const worker = newWorker(domain, 'hsm-1', {
    ...options,
    handlers: {
      GenerateRandom: ({ length }) => ({ bytes: Buffer.alloc(length) }),
      GenerateBackingKey: ({ keyId }) => {
        made.push(keyId);
        return { token: Buffer.from('token'), materialId: Buffer.alloc(32) };
      },
      ...options.handlers,
    },
  });
  const session = await negotiate(domain, host, worker.service);
  const newEnd = () => HostEnd.open(worker.service, session, domain);
  return { domain, worker, made, newEnd, end: await newEnd() };
}

const isOverwritten = (bytes: Uint8Array) => bytes.length > 0 && bytes.every((byte) => byte === 0);

function random(end: HostEnd, id: number, length = 1) {
  return end.entry(id, 'GenerateRandom', { length });
}

describe('a stream', () => {
  test('answers all commands of a frame in one frame, each under its own id', async () => {
    const { end } = await connect();
    end.send(random(end, 0, 3), random(end, 1, 5));
    const replies = await end.settled();
    expect(
      replies.map(({ id, refusal, output }) => [id, refusal, GenerateRandom.output.decode(output).bytes.length]),
    ).toEqual([
      [0, undefined, 3],
      [1, undefined, 5],
    ]);
    expect(end.received).toHaveLength(1);
  });

  test('answers an empty frame with an empty frame: somebody is there', async () => {
    const { end } = await connect();
    end.send();
    await setImmediate();
    await setImmediate();
    expect(end.received).toHaveLength(1);
    expect(end.replies).toEqual([]);
  });

  test('spreads large answers over several frames', async () => {
    const { end } = await connect({ handlers: { GenerateRandom: () => ({ bytes: Buffer.alloc(700_000) }) } });
    end.send(random(end, 0), random(end, 1));
    await end.settled();
    expect(end.received).toHaveLength(2);
  });

  test('answers what finished later in a later frame', async () => {
    const slow = Promise.withResolvers<{ bytes: Buffer }>();
    const { end } = await connect({
      handlers: { GenerateRandom: ({ length }) => (length === 1 ? slow.promise : { bytes: Buffer.alloc(length) }) },
    });
    end.send(random(end, 0, 1), random(end, 1, 2));
    while (end.replies.length === 0) await setImmediate();
    slow.resolve({ bytes: Buffer.alloc(1) });
    expect((await end.settled()).map(({ id }) => id)).toEqual([1, 0]);
  });

  test('gives a slow batch back to the event loop in between', async () => {
    const { end, domain } = await connect({
      handlers: {
        GenerateRandom: () => {
          domain.clock.advance(5);
          return { bytes: Buffer.alloc(1) };
        },
      },
    });
    end.send(...Array.from({ length: 10 }, (_, id) => random(end, id)));
    await end.settled();
    expect(end.received).toHaveLength(5);
  });
});

describe('what a stream is given and gives', () => {
  const message = Buffer.from('a message of the caller');
  const macOf = {
    keyId: 'k',
    account: '111122223333',
    token: Buffer.from('token'),
    algorithm: 'HMAC_SHA_256',
    message,
  };

  /** Ends that remember the very bytes that their handlers saw and returned. */
  async function remembering(after: () => void = () => {}) {
    const seen: Uint8Array[] = [];
    const handlers = {
      GenerateMac: (input: { message: Uint8Array }) => {
        seen.push(input.message);
        after();
        return { mac: Buffer.alloc(32, 1) };
      },
      GenerateRandom: () => {
        const secret = Buffer.from('a secret of the caller');
        seen.push(secret);
        return { bytes: secret };
      },
    };
    return { seen, ...(await connect({ handlers })) };
  }

  test('is overwritten when the answer is sealed, and the answer is right', async () => {
    const { seen, end } = await remembering();
    end.send(end.entry(0, 'GenerateMac', macOf), random(end, 1));
    const [mac, bytes] = await end.settled();
    expect([mac?.refusal, bytes?.refusal]).toEqual([undefined, undefined]);
    expect(Buffer.from(GenerateRandom.output.decode(bytes!.output).bytes).toString()).toBe('a secret of the caller');
    expect(seen.map(isOverwritten)).toEqual([true, true]);
  });

  test('is overwritten when a command is refused', async () => {
    const { seen, end } = await remembering(() => {
      throw new Error('a fault');
    });
    end.send(end.entry(0, 'GenerateMac', macOf));
    expect((await end.settled())[0]?.refusal).toBe('internal');
    expect(seen.map(isOverwritten)).toEqual([true]);
  });

  test('is overwritten when the stream is closed before the answer', async () => {
    let close = (): void => {};
    const { seen, end } = await remembering(() => close());
    close = () => end.stream.close();
    end.send(end.entry(0, 'GenerateMac', macOf), random(end, 1));
    await setImmediate();
    await setImmediate();
    expect(seen.map(isOverwritten)).toEqual([true]);
    expect(end.replies).toEqual([]);
  });

  test('remains until the last command of its frame is done', async () => {
    const slow = Promise.withResolvers<{ mac: Buffer }>();
    const seen: Uint8Array[] = [];
    const { end } = await connect({
      handlers: {
        GenerateMac: (input) => {
          seen.push(input.message);
          return seen.length === 1 ? slow.promise : { mac: Buffer.alloc(32) };
        },
      },
    });
    end.send(end.entry(0, 'GenerateMac', macOf), end.entry(1, 'GenerateMac', macOf));
    while (end.replies.length === 0) await setImmediate();
    expect(seen.map((bytes) => Buffer.from(bytes).equals(message))).toEqual([true, true]);
    slow.resolve({ mac: Buffer.alloc(32) });
    await end.settled();
    expect(seen.map(isOverwritten)).toEqual([true, true]);
  });
});

describe('a stream ends at a frame', () => {
  test('that comes twice', async () => {
    const { end } = await connect();
    const frame = end.seal([random(end, 0)]);
    end.stream.receive(frame);
    expect(() => end.stream.receive(frame)).toThrow(over);
  });

  test('that overtakes another', async () => {
    const { end } = await connect();
    const [, second] = [end.seal([random(end, 0)]), end.seal([random(end, 1)])];
    expect(() => end.stream.receive(second)).toThrow(over);
  });

  test('that is cut short or grown', async () => {
    for (const change of [(f: Buffer) => f.subarray(0, -1), (f: Buffer) => Buffer.concat([f, f])]) {
      const { end } = await connect();
      expect(() => end.stream.receive(change(end.seal([random(end, 0)])))).toThrow(over);
    }
  });

  test('of another stream of the same session', async () => {
    const { end, newEnd } = await connect();
    const other = await newEnd();
    expect(() => end.stream.receive(other.seal([random(other, 0)]))).toThrow(over);
  });

  test('with any one bit flipped', async () => {
    const { newEnd, worker } = await connect();
    const sample = await newEnd();
    const bits = sample.seal([random(sample, 0)]).length * 8;
    // Each needs a stream of its own, hence not every bit.
    for (let bit = 0; bit < bits; bit += 11) {
      const end = await newEnd();
      const frame = end.seal([random(end, 0)]);
      frame[bit >> 3]! ^= 1 << (bit & 7);
      expect(() => end.stream.receive(frame)).toThrow(over);
    }
    expect(worker.service.inFlight).toBe(0);
  });

  test('whose ids do not rise', async () => {
    const { end } = await connect();
    expect(() => end.send(random(end, 1), random(end, 1))).toThrow(over);
  });

  test('with more entries than a frame may have', async () => {
    const { end } = await connect();
    const entries = Array.from({ length: MAX_FRAME_ENTRIES + 1 }, (_, id) => random(end, id));
    expect(() => end.send(...entries)).toThrow(over);
  });

  test('that the worker itself sealed, sent back to it', async () => {
    const { end } = await connect();
    end.send();
    await setImmediate();
    await setImmediate();
    expect(() => end.stream.receive(end.received[0]!)).toThrow(over);
  });

  test('after the session expired, or the host left the domain', async () => {
    const expired = await connect();
    expired.domain.clock.advance(3_700_000);
    expect(() => expired.end.send(random(expired.end, 0))).toThrow(over);
    const removed = await connect();
    removed.domain.change({ operators: [operatorOf(newHost('other'), 'service-host')] });
    expect(() => removed.end.send(random(removed.end, 0))).toThrow(over);
  });

  test('and then takes not even a good one', async () => {
    const { end } = await connect();
    const good = end.seal([random(end, 0)]);
    expect(() => end.stream.receive(Buffer.alloc(40))).toThrow(over);
    expect(() => end.stream.receive(good)).toThrow(over);
  });
});

describe('a host that was removed while its commands waited', () => {
  test('has none begun any more, and is given no answer of those that were begun', async () => {
    const slow = Promise.withResolvers<{ bytes: Buffer }>();
    const { end, domain, made } = await connect({ handlers: { GenerateRandom: () => slow.promise } });
    end.send(random(end, 0));
    await setImmediate();
    end.send(end.entry(1, 'GenerateBackingKey', newKey));
    domain.rotate({ operators: [operatorOf(newHost('other'), 'service-host')] });
    const secret = Buffer.from('made after the removal');
    slow.resolve({ bytes: secret });
    const replies = await end.settled();
    expect(replies.map(({ refusal, output }) => [refusal, output.length])).toEqual([
      ['overloaded', 0],
      ['overloaded', 0],
    ]);
    expect(made).toEqual([]);
    expect(isOverwritten(secret)).toBe(true);
  });

  test('and so has one whose session is over for another reason: it asks on a new one', async () => {
    const { end, domain, made, worker } = await connect();
    end.send(end.entry(0, 'GenerateBackingKey', newKey));
    domain.remove('hsm-2');
    expect((await end.settled())[0]?.refusal).toBe('overloaded');
    const session = await negotiate(domain, host, worker.service);
    const again = await HostEnd.open(worker.service, session, domain);
    again.send(again.entry(0, 'GenerateBackingKey', newKey));
    expect((await again.settled())[0]?.refusal).toBeUndefined();
    expect(made).toEqual(['k']);
  });
});

describe('a command that makes key material', () => {
  test('runs with the signature of the delegated key, which is kept for the record', async () => {
    const { end, made, worker } = await connect();
    end.send(end.entry(0, 'GenerateBackingKey', newKey));
    expect((await end.settled())[0]?.refusal).toBeUndefined();
    expect(made).toEqual(['k']);
    const proof = expect.objectContaining({ statement: expect.anything() as unknown }) as unknown;
    expect(worker.recorded.signed).toMatchObject([{ hostId: host.operatorId, proof }]);
  });

  const make = (end: HostEnd, id = 0, keyId = 'k') => end.entry(id, 'GenerateBackingKey', { ...newKey, keyId });
  test.each([
    ['without a signature', () => undefined],
    ['with a signature for another entry', (end: HostEnd) => end.signature([make(end, 1)])],
    ['with a signature for another input', (end: HostEnd) => end.signature([make(end, 0, 'other')])],
    ['with a signature for another command', (end: HostEnd) => end.signature([{ ...make(end), code: 2 }])],
    ['with a signature for more commands', (end: HostEnd) => end.signature([make(end), make(end, 1)])],
    ['with its signature from another stream', (_end: HostEnd, other: HostEnd) => other.signature([make(other)])],
    ['with 64 zeros', () => Buffer.alloc(64)],
  ])('is not acted on %s', async (_case, signatureOf) => {
    const { end, newEnd, made, worker } = await connect();
    const signature = signatureOf(end, await newEnd());
    end.stream.receive(end.seal([make(end)], signature));
    expect(await end.settled()).toMatchObject([{ refusal: 'not-signed' }]);
    expect(made).toEqual([]);
    expect(worker.recorded.signed).toEqual([]);
  });

  test('is not acted on in a signed frame that does not say that it is covered', async () => {
    const { end, made } = await connect();
    end.send({ ...make(end), signed: false }, make(end, 1, 'covered'));
    expect(await end.settled()).toMatchObject([{ refusal: 'not-signed' }, { refusal: undefined }]);
    expect(made).toEqual(['covered']);
  });

  test('shares one signature and one record with the others of its frame', async () => {
    const { end, made, worker } = await connect();
    end.send(make(end, 0, 'a'), random(end, 1), make(end, 2, 'b'));
    await end.settled();
    expect(made).toEqual(['a', 'b']);
    expect(worker.recorded.signed).toHaveLength(1);
  });

  test('leaves nothing by which to guess the password that it, or another of its frame, brings', async () => {
    const { end, worker } = await connect({ handlers: { SealCredential: () => ({ token: Buffer.from('sealed') }) } });
    const password = {
      accessKeyId: 'cluster',
      principal: 'custom-key-store',
      secretAccessKey: Buffer.from('Tr0ub4dor'),
    };
    end.send(make(end), end.entry(1, 'SealCredential', password));
    expect(await end.settled()).toMatchObject([{ refusal: undefined }, { refusal: undefined }]);
    expect(worker.recorded.signed).toEqual([{ hostId: host.operatorId, sessionId: expect.anything() as unknown }]);
  });
});

describe('a command is refused', () => {
  test('as expired when its time passed before it began', async () => {
    const { end, domain } = await connect();
    end.send({ ...random(end, 0), remainingMs: 100 }, { ...random(end, 1), remainingMs: 101 });
    domain.clock.advance(100);
    expect(await end.settled()).toMatchObject([{ refusal: 'expired' }, { refusal: undefined }]);
  });

  test('as overloaded beyond what one stream, or the worker, may have in flight', async () => {
    for (const maxInFlight of [
      { worker: 100, stream: 2 },
      { worker: 2, stream: 100 },
    ]) {
      const { end } = await connect({ maxInFlight });
      end.send(...[0, 1, 2, 3].map((id) => random(end, id)));
      const refusals = (await end.settled()).toSorted((a, b) => a.id - b.id).map(({ refusal }) => refusal);
      expect(refusals).toEqual([undefined, undefined, 'overloaded', 'overloaded']);
      end.send(random(end, 4));
      expect((await end.settled()).at(-1)?.refusal).toBeUndefined();
    }
  });

  test('as overloaded beyond what all streams of its host may have in flight; what a closed one took counts until it is done', async () => {
    const waiting: ((output: { bytes: Buffer }) => void)[] = [];
    const handlers = {
      GenerateRandom: () => new Promise<{ bytes: Buffer }>((resolve) => void waiting.push(resolve)),
    };
    const { end, newEnd } = await connect({ handlers, maxInFlight: { worker: 100, stream: 2 } });
    const other = await newEnd();
    end.send(random(end, 0), random(end, 1));
    await setImmediate();
    end.stream.close();
    other.send(random(other, 0));
    await setImmediate();
    await setImmediate();
    expect((await other.settled()).map(({ refusal }) => refusal)).toEqual(['overloaded']);
    for (const done of waiting.splice(0)) done({ bytes: Buffer.alloc(1) });
    await setImmediate();
    other.send(random(other, 1));
    await setImmediate();
    expect(waiting).toHaveLength(1);
  });

  test.each([
    ['its host', { worker: 100, stream: 8 }],
    ['the worker', { worker: 8, stream: 100 }],
  ])(
    'as overloaded beyond the bytes that %s may have in flight, until the frame of a slow one is done',
    async (_whose, maxInFlight) => {
      const waiting: ((output: { bytes: Buffer }) => void)[] = [];
      const handlers = {
        GenerateRandom: () => new Promise<{ bytes: Buffer }>((resolve) => void waiting.push(resolve)),
      };
      const { end } = await connect({ handlers, maxInFlight });
      const filler = (id: number) => ({ ...random(end, id), code: 9999, input: Buffer.alloc(MAX_INPUT_BYTES - 256) });
      end.send(random(end, 0), filler(1));
      await setImmediate();
      end.send(filler(2), filler(3));
      end.send(filler(4));
      // An empty frame has room always.
      end.send();
      await setImmediate();
      await setImmediate();
      const refusals = () => Object.fromEntries(end.replies.map(({ id, refusal }) => [id, refusal]));
      expect(refusals()).toEqual({ 1: 'invalid-input', 2: 'overloaded', 3: 'overloaded', 4: 'invalid-input' });
      expect(end.stream.inFlight).toBe(1);
      for (const done of waiting) done({ bytes: Buffer.alloc(1) });
      await end.settled();
      end.send(filler(5), filler(6));
      await end.settled();
      expect(refusals()).toMatchObject({ 0: undefined, 5: 'invalid-input', 6: 'invalid-input' });
    },
  );

  test('as invalid when its code or its input is unknown', async () => {
    const { end } = await connect();
    end.send({ ...random(end, 0), code: 9999 }, { ...random(end, 1), input: Buffer.from('nonsense') });
    expect(await end.settled()).toMatchObject([{ refusal: 'invalid-input' }, { refusal: 'invalid-input' }]);
  });

  test('as internal, without a word, when its handler fails, at once or later', async () => {
    const { end, worker } = await connect({
      handlers: {
        GenerateRandom: ({ length }) => {
          if (length === 1) throw new TypeError('secret');
          return Promise.reject(new TypeError('secret'));
        },
      },
    });
    end.send(random(end, 0, 1), random(end, 1, 2));
    expect(await end.settled()).toMatchObject([
      { refusal: 'internal', output: Buffer.alloc(0) },
      { refusal: 'internal', output: Buffer.alloc(0) },
    ]);
    expect(worker.recorded.faults).toHaveLength(2);
  });
});
