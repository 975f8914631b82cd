import { mkdtempDisposableSync, readFileSync, existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { ManagedProcess, type ProcessSpec } from './managed-process.ts';

function start(spec: Partial<ProcessSpec>) {
  const directory = mkdtempDisposableSync(join(tmpdir(), 'keyfleet-process-'));
  const exits: string[] = [];
  const process = new ManagedProcess(
    {
      name: 'sleeper',
      command: '/bin/sleep',
      args: ['60'],
      env: {},
      logFile: join(directory.path, 'sleeper.log'),
      pidFile: join(directory.path, 'sleeper.pid'),
      ...spec,
    },
    (_, how) => exits.push(how),
  );
  onTestFinished(async () => {
    await process.kill();
    directory.remove();
  });
  return { process, exits, directory: directory.path };
}

test('a process runs under its pid file, and stopping it is no unexpected end', async () => {
  const { process, exits } = start({});
  process.start();
  expect(readFileSync(process.spec.pidFile, 'utf8')).toBe(`${process.pid}\n`);
  await process.stop();
  expect(process.pid).toBeUndefined();
  expect(existsSync(process.spec.pidFile)).toBe(false);
  expect(exits).toEqual([]);
});

test('what it wrote since its last start is told apart from what stands before it in its log', async () => {
  const { process } = start({ command: '/bin/sh', args: ['-c', 'echo "é $$"; exec sleep 60'] });
  const said = () => expect.poll(() => process.output).toBe(`é ${process.pid}\n`);
  process.start();
  await said();
  await process.kill();
  process.start();
  await said();
});

test('with no room for its pid file nothing runs, and the error says why', () => {
  const full = start({ pidFile: '/dev/full' });
  expect(() => full.process.start()).toThrow(/ENOSPC/);
  expect(full.process.pid).toBeUndefined();
  expect(() => full.process.start()).toThrow(/ENOSPC/);
  expect(full.exits).toEqual([]);
});
