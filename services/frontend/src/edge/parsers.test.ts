import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import { duplexPair } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { isOfUnstatedLength, stopAtUnstatedLengths } from './parsers.ts';

const CHUNKS = '1\r\na\r\n'.repeat(5_000) + '0\r\n\r\n';
const CHUNKED = 'POST /chunked HTTP/1.1\r\nHost: edge\r\nTransfer-Encoding: chunked\r\n\r\n';
const STATED = 'POST /stated HTTP/1.1\r\nHost: edge\r\nContent-Length: 1\r\n\r\na';
const HIDDEN = CHUNKED.replace('Host', `${'A: 1\r\n'.repeat(40)}Host`);

/** What becomes of what a client sends: the requests that are served, and what stopped it after how many bytes. */
async function becomesOf(sent: string) {
  const [client, socket] = duplexPair() as unknown as [Socket, Socket];
  const served: string[] = [];
  const stopped: { by: string; parsed: number }[] = [];
  const server = createServer((request) => served.push(request.url!));
  server.maxHeadersCount = 40;
  server.on('clientError', (error: Error & { code: string; bytesParsed: number }, ended: Socket) => {
    stopped.push({ by: isOfUnstatedLength(ended) ? 'its length' : error.code, parsed: error.bytesParsed });
    ended.destroy();
  });
  stopAtUnstatedLengths(server, (plain) => server.emit('connection', plain))(socket);
  client.write(sent);
  await setImmediate();
  return { served, stopped };
}

test.each([
  ['is unstated', CHUNKED, 'its length'],
  ['is unstated by one header too many', HIDDEN, 'HPE_HEADER_OVERFLOW'],
])('nothing of a body is parsed whose length %s, nor what follows it', async (_, head, by) => {
  const { served, stopped } = await becomesOf(STATED + head + CHUNKS + STATED);
  expect(served).toEqual(['/stated']);
  expect(stopped).toEqual([{ by, parsed: expect.any(Number) }]);
  expect(stopped[0]!.parsed).toBeLessThanOrEqual(STATED.length + head.length);
});

test('a body whose length is stated is parsed, and what follows it', async () => {
  expect(await becomesOf(STATED + STATED)).toEqual({ served: ['/stated', '/stated'], stopped: [] });
});
