import { runCommand } from 'citty';
import { expect, test } from 'vitest';
import { verb } from './verb.ts';

const told = {
  findings: [{ check: 'hsm-workers', finding: 'unreachable\nwell  clocks: all right', at: 1 }],
  members: { 'hsm-1\nhsm-2': null },
};

async function printed(...rawArgs: string[]): Promise<string> {
  const lines: string[] = [];
  const terminal = {
    write: (text: string) => void lines.push(text),
    note: () => expect.fail(),
    askSecret: () => expect.fail(),
  };
  const show = verb({
    description: 'For a test.',
    args: {},
    run: async () => told,
    text: ({ findings, members }) =>
      [...findings.map(({ check, finding, at }) => `${check}: ${finding} ${at}`), ...Object.keys(members)].join('\n'),
  });
  await runCommand(show(terminal, 'show'), { rawArgs });
  return lines.join('|');
}

test('text from others makes no line of its own in what a verb prints', async () => {
  const lines = [String.raw`hsm-workers: unreachable\nwell  clocks: all right 1`, String.raw`hsm-1\nhsm-2`];
  expect((await printed()).split('\n')).toEqual(lines);
});

test('JSON has it as it was said', async () => {
  expect(JSON.parse(await printed('--json'))).toEqual(told);
});
