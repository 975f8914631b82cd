import { expect, test } from 'vitest';
import { AnswerParser } from './answer-parser.ts';

const text = (found: { body: Buffer } | undefined) => found?.body.toString();

test('an answer with a length is found however its bytes come', () => {
  const bytes = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello');
  for (let cut = 1; cut < bytes.length; cut++) {
    const parser = new AnswerParser();
    expect(parser.push(bytes.subarray(0, cut))).toBeUndefined();
    expect(parser.push(bytes.subarray(cut))).toEqual({ status: 200, body: Buffer.from('hello') });
  }
});

test('chunks are put together, and the next answer begins after them', () => {
  const parser = new AnswerParser();
  expect(
    parser.push(Buffer.from('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\n')),
  ).toBeUndefined();
  expect(text(parser.push(Buffer.from('de\r\n0\r\n\r\n')))).toBe('abcde');
  expect(text(parser.push(Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx')))).toBe('x');
});

test('an answer without a length ends with the connection', () => {
  const parser = new AnswerParser();
  expect(parser.push(Buffer.from('HTTP/1.0 200 OK\r\n\r\nall of'))).toBeUndefined();
  expect(parser.push(Buffer.from(' it'))).toBeUndefined();
  expect(text(parser.finish())).toBe('all of it');
  expect(parser.closes).toBe(true);
});

test("a failure has AWS's code without its namespace, or the status", () => {
  const answer = (status: number, body: string) =>
    new AnswerParser().push(Buffer.from(`HTTP/1.1 ${status} X\r\ncontent-length: ${body.length}\r\n\r\n${body}`));
  expect(answer(400, '{"__type":"com.amazonaws#NotFoundException"}')?.failure).toBe('NotFoundException');
  expect(answer(503, 'busy')?.failure).toBe('HTTP 503');
  expect(answer(204, '')?.failure).toBeUndefined();
});
