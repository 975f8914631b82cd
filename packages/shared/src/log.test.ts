import { expect, test } from 'vitest';
import { createLog, logDestination } from './log.ts';

function logged(fields: object): Record<string, unknown> {
  const lines: string[] = [];
  createLog({ name: 'frontend', level: 'info' }, { write: (line) => void lines.push(line) }).info(fields, 'happened');
  expect(lines).toHaveLength(1);
  return JSON.parse(lines[0] ?? '') as Record<string, unknown>;
}

test('a line is JSON with level, time, name, text and fields', () => {
  expect(logged({ keyId: 'abc', count: 2 })).toMatchObject({
    level: 'info',
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
    name: 'frontend',
    msg: 'happened',
    keyId: 'abc',
    count: 2,
  });
});

test('fields with the name of a secret are redacted at every depth', () => {
  const line = logged({
    secretAccessKey: 's1',
    request: { headers: { authorization: 's2', 'x-amz-security-token': 's3' } },
    users: [{ redisPassword: 's4' }],
    Plaintext: 's5',
  });
  expect(JSON.stringify(line)).not.toMatch(/"s\d"/);
  expect(line).toMatchObject({ secretAccessKey: '[redacted]', users: [{ redisPassword: '[redacted]' }] });
});

test('bytes are counted, not shown', () => {
  expect(logged({ token: Buffer.from('secret bytes') })['token']).toBe('[12 bytes]');
});

test('an error shows its cause, and never what a library attached to it', () => {
  const error = Object.assign(new Error('outer', { cause: new Error('inner') }), {
    command: { name: 'auth', args: ['hunter2'] },
  });
  const line = logged({ err: error });
  expect(line['err']).toMatchObject({ type: 'Error', message: 'outer', cause: { message: 'inner' } });
  expect(JSON.stringify(line)).not.toContain('hunter2');
});

test('a log on a full disk ends nothing', () => {
  const log = createLog({ name: 'frontend', level: 'info' }, logDestination('/dev/full'));
  const text = 'x'.repeat(100_000);
  expect(() => {
    for (let line = 0; line < 100; line++) log.info({ text }, 'happened');
  }).not.toThrow();
});
