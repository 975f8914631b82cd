import { closeSync, ftruncateSync, mkdtempDisposableSync, openSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { growthTrouble, logBytes } from './growing-files.ts';

test('a log that is a file of gigabytes is noticed, and one that somebody reads is not', () => {
  using directory = mkdtempDisposableSync(join(tmpdir(), 'keyfleet-test-'));
  const log = openSync(join(directory.path, 'log'), 'a');
  expect(growthTrouble('the log', logBytes(log))).toBeUndefined();
  ftruncateSync(log, 3 * 2 ** 30);
  expect(growthTrouble('the log', logBytes(log))).toBe(
    'the log has grown to 3.0 GiB and nothing rotates it: the disk will fill up (docs/operations.md, "Logs")',
  );
  closeSync(log);
  const terminal = openSync('/dev/null', 'a');
  expect(logBytes(terminal)).toBe(0);
  closeSync(terminal);
});
