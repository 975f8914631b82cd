import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { documented, documentedCommands } from './kubernetes/support/documented-commands.ts';

test('each command of docs/kubernetes.md has its place in the table of what runs it, or why nothing does', () => {
  const commands = documentedCommands();
  expect(commands.length).toBeGreaterThan(20);
  const parts = commands.map((command) => documented.filter(({ part }) => command.includes(part)));
  expect(parts).toEqual(documented.map((one) => [one]));
});

test('no port of the laptop is forwarded a second time, before what has it was ended', () => {
  const open = new Set<string>();
  let ended = 0;
  for (const commands of documentedCommands()) {
    const here: string[] = [];
    for (const line of commands.split('\n')) {
      const [, port] = /^kubectl port-forward \S+ (\d+) &$/.exec(line) ?? [];
      if (port !== undefined) {
        expect(open, line).not.toContain(port);
        open.add(port);
        here.push(port);
      } else if (line === 'kill $!') {
        open.delete(here.pop()!);
        ended++;
      }
    }
  }
  expect([...open, ended]).toEqual(['8921', 2]);
});

test.each(documented)('the tests that are said to run "$part" name it', ({ part, runBy = [], notRun }) => {
  expect([runBy.length > 0, notRun !== undefined]).toContain(true);
  for (const file of runBy) {
    expect(readFileSync(join(import.meta.dirname, 'kubernetes', file), 'utf8'), file).toContain(part);
  }
});
