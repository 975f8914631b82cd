import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { type Head, type Piece, piecesOf } from './format.ts';
import { findUnfinished, readPieces, verifyBackup } from './reader.ts';
import { isOfStage, STAGES } from './stages.ts';
import { BackupWriter } from './writer.ts';

const head: Head = { keyfleet: 'backup', version: 2, begunAt: '2026-11-26T00:00:00.000Z', runIds: ['ab'] };
const pieces: Piece[] = [
  { name: 'kf:secret:{x}', type: 'string', value: 'AP8=' },
  { name: 'kf:aliases:{1/r}', type: 'hash', from: 0, value: { a: 'AQ==' } },
  { name: 'kf:aliases:{1/r}', type: 'hash', from: 1, value: { b: 'Ag==' } },
  { name: 'kf:domain:{test}:tokens', type: 'list', from: 0, value: ['AQ==', 'Ag=='] },
];
const position = { stage: 1, node: 0, cursor: '77' };

let file: string;
beforeEach(() => {
  const dir = mkdtempSync(join(tmpdir(), 'keyfleet-backup-'));
  file = join(dir, 'backup');
  return () => rmSync(dir, { recursive: true });
});

async function writeBackup(path = file): Promise<void> {
  await using writer = await BackupWriter.begin(path, head);
  await writer.write(pieces.slice(0, 2));
  await writer.checkpoint(position);
  await writer.write(pieces.slice(2));
  await writer.finish();
}

describe('a backup', () => {
  test('reads back as it was written, and counts its values', async () => {
    await writeBackup();
    expect(await Array.fromAsync(readPieces(file))).toEqual(pieces);
    expect(await verifyBackup(file)).toMatchObject({ values: 3 });
  });

  test('that was cut off or changed, wherever, is refused', async () => {
    await writeBackup();
    const text = readFileSync(file, 'utf8');
    for (let length = 0; length < text.length; length += 5) {
      writeFileSync(file, text.slice(0, length));
      await expect(verifyBackup(file)).rejects.toThrow(/truncated|damaged/);
    }
    for (let at = 0; at < text.length - 1; at += 5) {
      writeFileSync(file, text.slice(0, at) + (text[at] === '1' ? '2' : '1') + text.slice(at + 1));
      await expect(verifyBackup(file)).rejects.toThrow(/truncated|damaged/);
    }
    writeFileSync(file, `${text}${text.split('\n').at(-2)}\n`);
    await expect(verifyBackup(file)).rejects.toThrow('damaged');
  });

  test('that was interrupted continues at its last checkpoint, and becomes the same file', async () => {
    await writeBackup();
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, text.slice(0, text.indexOf('"b"')));
    const unfinished = await findUnfinished(file);
    expect(unfinished).toMatchObject({ head, position });
    {
      await using writer = await BackupWriter.goOn(file, unfinished!);
      await writer.write(pieces.slice(2));
      await writer.finish();
    }
    expect(readFileSync(file, 'utf8')).toBe(text);
  });

  test('that has not reached a checkpoint cannot continue', async () => {
    await using _writer = await BackupWriter.begin(file, head);
    expect(await findUnfinished(file)).toBeUndefined();
  });
});

test('a backup of the first release reads as its values, without the lists that are derived from them', async () => {
  const lines = [
    '{"keyfleet":"backup","version":1}',
    '{"name":"kf:keys:{111122223333/us-east-1}","type":"zset","value":[["0190000000000/k","0"]]}',
    '{"name":"kf:secret:{x}","type":"string","value":"AP8="}',
    '{"name":"kf:domain:{test}:tokens","type":"list","value":["AQ==","Ag=="]}',
  ];
  const body = lines.map((line) => `${line}\n`).join('');
  const sha256 = createHash('sha256').update(body).digest('hex');
  writeFileSync(file, `${body}${JSON.stringify({ count: 3, sha256 })}\n`);
  expect(await verifyBackup(file)).toEqual({ values: 2, sha256 });
  expect(await Array.fromAsync(readPieces(file))).toEqual([pieces[0], pieces[3]]);
});

test('a value of any size is cut into pieces that one command may carry', () => {
  const value = Object.fromEntries(Array.from({ length: 2500 }, (_, i) => [`f${i}`, 'AQ==']));
  const cut = [...piecesOf(JSON.stringify({ name: 'x', type: 'hash', value }))];
  expect(cut.map(({ value: fields }) => Object.keys(fields).length)).toEqual([1000, 1000, 500]);
  expect(Object.assign({}, ...cut.map(({ value: fields }) => fields))).toEqual(value);
});

test('short-lived and derived values are not backed up, and all others once, domain tokens last', () => {
  const stagesOf = (name: string) =>
    Array.from({ length: STAGES }, (_, stage) => stage).filter((s) => isOfStage(name, s));
  const names = {
    'kf:domain:{test}:tokens': [STAGES - 1],
    'kf:domain:{test}:lease': [],
    'kf:domain:{test}:confirmed': [],
    'kf:domain:{test}:proposals': [],
    'kf:domain:{test}:proposal:ab': [],
    'kf:domain:{test}:reseal:7': [],
    'kf:restore': [],
    'kf:fleet-keys:{marker-key}': [],
    'kf:key:{us-east-1/x}': [2],
    'kf:access-key:{x}': [2],
    'kf:first-access-key:{x}': [1],
    'kf:aliases:{111122223333/us-east-1}': [0],
    'kf:alias-names:{111122223333/us-east-1}': [],
    'kf:alias-targets:{111122223333/us-east-1}': [],
    'kf:keys:{111122223333/us-east-1}': [],
    'kf:due:{3}': [],
    'kf:grants:{us-east-1/x}': [2],
    'kf:grant-index:{us-east-1/x}': [],
    'kf:retirable:{us-east-1/arn}': [],
    other: [],
  };
  expect(Object.fromEntries(Object.keys(names).map((name) => [name, stagesOf(name)]))).toEqual(names);
});
