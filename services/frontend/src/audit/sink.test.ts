import { mkdtemp, open, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Encrypt } from '@keyfleet/shared/api/cipher';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { newAttempt } from '../request/attempt.ts';
import { Audit, type AuditRecord } from './record.ts';
import { assertRecordable, AuditFullError, type FileSinkOptions, openFileSink } from './sink.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'keyfleet-test-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

const clock = { now: () => Date.UTC(2026, 10, 23) };

const onProblem = (problem: unknown): void => expect.unreachable(String(problem));

function refusal(requestId: string) {
  const exception = new KmsException('MissingAuthenticationTokenException', 'Request is missing Authentication Token');
  const request = { requestId, sourceIpAddress: '192.0.2.1', headers: new Map([['user-agent', 'curl']]) };
  return { ...newAttempt(request, { service: 'kms', name: 'Encrypt', operation: Encrypt }), exception };
}

async function linesOf(path: string): Promise<AuditRecord[]> {
  const text = await readFile(path, 'utf8');
  expect(text.endsWith('\n')).toBe(true);
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as AuditRecord);
}

test('every record is in the file when the sink is closed, in order, one JSON object a line', async () => {
  const path = join(directory, 'audit.jsonl');
  for (const names of [['1', '2'], ['3']]) {
    await using sink = await openFileSink({ path, onProblem });
    const audit = new Audit(sink, clock);
    for (const name of names) audit.record(refusal(name));
  }
  const lines = await linesOf(path);
  expect(lines.map(({ requestID }) => requestID)).toEqual(['1', '2', '3']);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
});

test('an unsigned request is recorded with the reason', async () => {
  const path = join(directory, 'audit.jsonl');
  {
    await using sink = await openFileSink({ path, onProblem });
    new Audit(sink, clock).record(refusal('1'));
  }
  expect(await linesOf(path)).toEqual([
    expect.objectContaining({
      eventName: 'Encrypt',
      eventTime: '2026-11-23T00:00:00.000Z',
      sourceIPAddress: '192.0.2.1',
      userAgent: 'curl',
      errorCode: 'MissingAuthenticationTokenException',
      errorMessage: 'Request is missing Authentication Token',
      requestParameters: null,
      userIdentity: expect.objectContaining({ type: 'Unknown' }),
    }),
  ]);
});

test('text from callers is quoted: it ends no line and adds no member', async () => {
  const path = join(directory, 'audit.jsonl');
  const userAgent = 'a","readOnly":true}\n{"eventName":"Forged\u2028\ud800"';
  {
    await using sink = await openFileSink({ path, onProblem });
    new Audit(sink, clock).record({ ...refusal('1'), name: userAgent, userAgent });
  }
  const [line, ...others] = await linesOf(path);
  expect(others).toEqual([]);
  expect(line).toMatchObject({ eventName: userAgent, userAgent, readOnly: false });
});

test('a record holds so much of what a stranger says of itself', async () => {
  const path = join(directory, 'audit.jsonl');
  {
    await using sink = await openFileSink({ path, onProblem });
    new Audit(sink, clock).record({ ...refusal('1'), userAgent: '\\'.repeat(15_000) });
  }
  expect(await linesOf(path)).toMatchObject([{ userAgent: '\\'.repeat(1_024) }]);
});

test('a file that was renamed is left for a new one, and no record is lost', async () => {
  const path = join(directory, 'audit.jsonl');
  {
    await using sink = await openFileSink({ path, onProblem, followMs: 0 });
    const audit = new Audit(sink, clock);
    audit.record(refusal('1'));
    await sink.settled();
    await rename(path, `${path}.1`);
    audit.record(refusal('2'));
  }
  const requests = async (file: string) => (await linesOf(file)).map(({ requestID }) => requestID);
  expect([await requests(`${path}.1`), await requests(path)]).toEqual([['1'], ['2']]);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
});

test('a file whose last line is cut off loses no other, also where it is found under the name later', async () => {
  const path = join(directory, 'audit.jsonl');
  const torn = '{"requestID":"0"}\n{"requestID":"1","even';
  await writeFile(path, torn);
  {
    await using sink = await openFileSink({ path, onProblem, followMs: 0 });
    const audit = new Audit(sink, clock);
    audit.record(refusal('2'));
    await sink.settled();
    await rename(path, `${path}.1`);
    await writeFile(path, torn);
    audit.record(refusal('3'));
    audit.record(refusal('4'));
  }
  const after = async (file: string) => {
    const text = await readFile(file, 'utf8');
    expect(text.startsWith(`${torn}\n`)).toBe(true);
    return text
      .slice(torn.length + 1)
      .trimEnd()
      .split('\n');
  };
  const requests = async (file: string) =>
    (await after(file)).map((line) => (JSON.parse(line) as AuditRecord).requestID);
  expect([await requests(`${path}.1`), await requests(path)]).toEqual([['2'], ['3', '4']]);
});

/** The first file has room for so many bytes, and the others for all. */
function openOnDiskOf(bytes: number): NonNullable<FileSinkOptions['open']> {
  let room = bytes;
  let isFirst = true;
  return async (path) => {
    const file = await open(path, 'a');
    const left = (): number => (isFirst ? room : Number.MAX_SAFE_INTEGER);
    const write = async (buffer: Buffer, offset: number) => {
      const length = Math.min(left(), buffer.length - offset);
      if (length === 0) throw new Error('ENOSPC: no space left on device');
      room -= length;
      return file.write(buffer, offset, length);
    };
    return {
      stat: () => file.stat(),
      write,
      close() {
        isFirst = false;
        return file.close();
      },
    };
  };
}

test('a record that a full disk cut is whole in the next file', async () => {
  const path = join(directory, 'audit.jsonl');
  const [whole, cut] = [refusal('1'), { ...refusal('2'), name: 'n'.repeat(2_000) }];
  {
    // Room for one record and the half of another.
    await using sink = await openFileSink({ path, onProblem: () => {}, followMs: 0, open: openOnDiskOf(2_000) });
    const audit = new Audit(sink, clock);
    for (const attempt of [whole, cut]) audit.record(attempt);
    await expect(sink.settled()).rejects.toThrow('ENOSPC');
    await rename(path, `${path}.1`);
    audit.record(refusal('3'));
  }
  const requests = async (file: string) => (await linesOf(file)).map(({ requestID }) => requestID);
  expect(await requests(path)).toEqual(['2', '3']);
  expect((await readFile(`${path}.1`, 'utf8')).split('\n')).toHaveLength(2);
});

test('records of any size are written whole', async () => {
  const path = join(directory, 'audit.jsonl');
  const names = Array.from({ length: 50 }, (_, index) => 'é'.repeat(1 + index * 10_000));
  {
    await using sink = await openFileSink({ path, onProblem });
    const audit = new Audit(sink, clock);
    for (const name of names) audit.record({ ...refusal('1'), name });
  }
  expect((await linesOf(path)).map(({ eventName }) => eventName)).toEqual(names);
});

test('a sink whose disk is full keeps its records up to a bound, then says so, and continues by itself when there is room', async () => {
  const path = join(directory, 'audit.jsonl');
  // Like a full disk, this accepts no bytes.
  await symlink('/dev/full', path);
  const problems: string[] = [];
  await using sink = await openFileSink({
    path,
    followMs: 0,
    maxBacklogBytes: 1_000,
    onProblem: (problem) => problems.push(String(problem)),
  });
  const audit = new Audit(sink, clock);
  const requests: string[] = [];
  while (!sink.isFull) {
    requests.push(String(requests.length));
    audit.record(refusal(requests.at(-1)!));
    await expect(sink.settled()).rejects.toThrow('ENOSPC');
  }
  expect(requests.length).toBeLessThan(10);
  expect(problems).toContain('Error: too many records are waiting: nothing is done until they are written');
  expect(() => assertRecordable(sink)).toThrow(AuditFullError);

  await rm(path);
  // Nothing is written meanwhile.
  await expect.poll(() => sink.isFull).toBe(false);
  await sink.settled();
  expect((await linesOf(path)).map(({ requestID }) => requestID)).toEqual(requests);
});

test('the size of the file is known, and is that of the new one after it was renamed', async () => {
  const path = join(directory, 'audit.jsonl');
  await using sink = await openFileSink({ path, onProblem, followMs: 0 });
  const audit = new Audit(sink, clock);
  const record = async () => {
    audit.record(refusal('1'));
    await sink.settled();
  };
  await record();
  await record();
  const size = sink.fileBytes;
  expect(size).toBeGreaterThan(100);
  await rename(path, `${path}.1`);
  await record();
  await record();
  expect(sink.fileBytes).toBe(size);
});
