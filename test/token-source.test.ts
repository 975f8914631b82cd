import { Server, ServerCredentials } from '@grpc/grpc-js';
import { DomainManager } from '@keyfleet/proto';
import { newTokenSource } from '@keyfleet/proto/token-source';
import { plaintextPeers } from '@keyfleet/shared/grpc/peers';
import { expect, onTestFinished, test } from 'vitest';

/** What a domain-manager that answers these bytes shows. */
async function shownBy(answer: Buffer): Promise<readonly Uint8Array[]> {
  const server = new Server();
  const { FetchTokens } = DomainManager.service;
  const bytes = { ...FetchTokens, responseSerialize: (value: Buffer) => value };
  server.addService({ FetchTokens: bytes } as never, {
    FetchTokens: (_: unknown, done: Function) => done(null, answer),
  });
  const port = await new Promise<number>((bound, failed) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, on) =>
      error ? failed(error) : bound(on),
    ),
  );
  const source = newTokenSource(`127.0.0.1:${port}`, plaintextPeers.credentials);
  onTestFinished(() => (source.close(), server.forceShutdown()));
  return source.fetch(0);
}

const token = (length: number) => Buffer.concat([Buffer.of(0x0a), varint(length), Buffer.alloc(length, 7)]);

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) + 128);
  return Buffer.from([...bytes, value]);
}

test('fields that a newer release may add are passed over', async () => {
  const others = [
    Buffer.of(0x10, 0xff, 1),
    Buffer.of(0x19, 1, 2, 3, 4, 5, 6, 7, 8),
    Buffer.of(0x25, 1, 2, 3, 4),
    Buffer.of(0x2a, 1, 9),
  ];
  expect(await shownBy(Buffer.concat([...others, token(3)]))).toEqual([Buffer.alloc(3, 7)]);
});

test('a page has as many tokens as a domain-manager shows at once, and one of three megabytes', async () => {
  const page = await shownBy(Buffer.concat(Array.from({ length: 64 }, (_, i) => token(i * 700))));
  expect(page.map(({ length }) => length)).toEqual(Array.from({ length: 64 }, (_, i) => i * 700));
  expect((await shownBy(token(3 * 1024 * 1024)))[0]!.length).toBe(3 * 1024 * 1024);
});

test.each([
  ['millions of tokens without bytes', Buffer.alloc(2_000_000, Buffer.of(0x0a, 0))],
  ['fields that nobody knows', Buffer.alloc(2_000_000, Buffer.of(0x18, 0))],
  ['a group', Buffer.of(0x0b, 0x0c)],
  ['more than four megabytes', token(4 * 1024 * 1024)],
])('an answer of %s is refused before anything is made of it', async (_, answer) => {
  await expect(shownBy(answer)).rejects.toThrow(/the message has|larger than max/);
});
