import { DomainManagerClient } from '@keyfleet/cli/domain-manager-client';
import { newWorkerClient } from '@keyfleet/frontend/hsm/worker-client';
import { DomainManager } from '@keyfleet/proto';
import { newTokenSource } from '@keyfleet/proto/token-source';
import { MAX_DOMAIN_KEYS } from '@keyfleet/shared/domain/state';
import { plaintextPeers } from '@keyfleet/shared/grpc/peers';
import { watchClientStreams } from '@keyfleet/shared/grpc/streams';
import { MAX_FRAME_BYTES } from '@keyfleet/shared/hsm/frame';
import { answering, bytesOf, framed, MANY, send } from '@keyfleet/test-support/http2-answers';
import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';

/** A page with one token, or a frame with one body. */
const field = (bytes: Buffer) => Buffer.concat([Buffer.of(0x0a, bytes.length), bytes]);

/** A command line's client of who answers every call with this message. */
async function clientOf(message: Buffer): Promise<DomainManagerClient> {
  const address = await answering((stream) => void stream.end(framed(message)));
  const client = new DomainManagerClient(address, plaintextPeers.credentials);
  onTestFinished(() => client[Symbol.dispose]());
  return client;
}

/** What is asked of a domain-manager. */
function fetchFrom(address: string): Promise<readonly Uint8Array[]> {
  const source = newTokenSource(address, plaintextPeers.credentials);
  onTestFinished(() => source.close());
  return source.fetch(0);
}

/** The lengths of the frames that a frontend gets from a worker which sends these pieces. */
async function framesOf(pieces: readonly Buffer[]): Promise<number[]> {
  const address = await answering(async (stream) => {
    await send(stream, pieces);
    stream.end();
  });
  const client = newWorkerClient(address, plaintextPeers.credentials);
  onTestFinished(() => client.close());
  const lengths: number[] = [];
  const stream = client.execute().on('data', ({ body }: { body?: Uint8Array }) => lengths.push(body?.length ?? 0));
  await once(stream, 'end');
  return lengths;
}

test('an answer in pieces of a byte is read, and keeps nothing of what was read with it', async () => {
  const read: Buffer[] = [];
  using _watch = watchClientStreams((stream) => void stream.on('data', (piece: Buffer) => read.push(piece)));
  const token = Buffer.from(Array.from({ length: 100 }, (_, i) => i));
  const address = await answering(async (stream) => {
    await send(stream, bytesOf(framed(field(token))));
    stream.end();
  });
  expect(await fetchFrom(address)).toEqual([token]);
  expect(read.length).toBeGreaterThan(90);
  expect(read.slice(20, -1).filter((piece) => piece.buffer.byteLength > piece.length)).toEqual([]);
});

test('an answer in thousands of pieces of a byte is refused', async () => {
  const address = await answering((stream) => send(stream, bytesOf(framed(Buffer.alloc(MANY)))));
  await expect(fetchFrom(address)).rejects.toThrow('the answer comes in too many pieces');
});

test('an answer that is followed by thousands of small ones, which nobody reads, is refused', async () => {
  const address = await answering((stream) => send(stream, Array<Buffer>(MANY).fill(framed(Buffer.alloc(0)))));
  await expect(fetchFrom(address)).rejects.toThrow('the answer comes in too many pieces');
});

test('a server that pushes a stream is left', async () => {
  const address = await answering((stream) => {
    stream.pushStream({ ':path': '/' }, (_, pushed) => pushed.on('error', () => {}));
  });
  await expect(fetchFrom(address)).rejects.toThrow('the server pushes streams');
});

test('a stream of frames may be as long as it likes', async () => {
  const frame = framed(field(Buffer.alloc(10, 7)));
  expect((await framesOf(Array<Buffer>(MANY).fill(frame))).length).toBe(MANY);
});

test('a frame may be as long as frames are, and no longer', async () => {
  const frameOf = (length: number) => {
    const message = Buffer.alloc(4 + length, 7);
    message.set([0x0a, 0x80 | (length & 127), 0x80 | ((length >> 7) & 127), length >> 14]);
    return framed(message);
  };
  expect(await framesOf([frameOf(MAX_FRAME_BYTES)])).toEqual([MAX_FRAME_BYTES]);
  await expect(framesOf([frameOf(MAX_FRAME_BYTES + 16)])).rejects.toThrow('larger than max');
});

test.each([
  ['proposals', Buffer.of(0x0a, 0)],
  ['workers', Buffer.of(0x32, 0)],
])('an answer with millions of empty %s is refused before anything is made of it', async (_, field) => {
  const client = await clientOf(Buffer.alloc(2_000_000, field));
  await expect(client.status()).rejects.toThrow('the message has too many fields');
  await expect(client.listProposals()).rejects.toThrow('the message has too many fields');
});

test('a status of as many domain keys as a domain has is taken', async () => {
  const keys = Array.from({ length: MAX_DOMAIN_KEYS }, (_, i) => ({ generation: i + 1 }));
  const absent = Array.from({ length: 256 }, (_, i) => `hsm-${i}`);
  const client = await clientOf(
    DomainManager.service.Status.responseSerialize({ domain_keys: keys, absent_members: absent }),
  );
  expect((await client.status()).domain_keys).toEqual(keys);
});
