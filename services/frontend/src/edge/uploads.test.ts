import { randomBytes } from 'node:crypto';
import { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { expect, test } from 'vitest';
import { Uploads } from './uploads.ts';

/** The body that is made of `chunks`. */
function received(chunks: readonly Buffer[]): Buffer {
  const uploads = new Uploads({ bodyBytes: 1 << 20, bufferedBytes: 1 << 24 });
  const [request, response] = [new EventEmitter(), new EventEmitter()];
  let body: Buffer = Buffer.alloc(0);
  const refuse = (reason: string): void => expect.fail(reason);
  const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  uploads.receive(request as IncomingMessage, response as ServerResponse, {
    length,
    done: (whole) => (body = whole),
    refuse,
  });
  for (const chunk of chunks) request.emit('data', chunk);
  request.emit('end');
  return body;
}

test.each([
  ['in one piece', [100]],
  ['byte by byte', Array.from({ length: 10_000 }, () => 1)],
  ['in small and large pieces in turn', Array.from({ length: 40 }, (_, i) => (i % 3 === 0 ? 5000 : i * 100))],
  ['in pieces that fill a block exactly', [1, 4095, 1, 4095, 4096, 1]],
])('a body that arrives %s is whole', (_name, lengths) => {
  const chunks = lengths.map((length) => randomBytes(length));
  const sent = Buffer.concat(chunks);
  expect(received(chunks)).toEqual(sent);
});

test('small chunks are copied together, and overwritten at once: as objects they would take far more than they count', () => {
  const chunks = Array.from({ length: 10_000 }, () => Buffer.of(7));
  const uploads = new Uploads({ bodyBytes: 1 << 20, bufferedBytes: 1 << 24 });
  const request = new EventEmitter();
  uploads.receive(request as IncomingMessage, new EventEmitter() as ServerResponse, {
    length: 1 << 20,
    done: () => expect.fail('it has not ended'),
    refuse: (reason) => expect.fail(reason),
  });
  for (const chunk of chunks) request.emit('data', chunk);
  expect(chunks.filter((chunk) => chunk[0] === 7)).toEqual([chunks[0]]);
});
