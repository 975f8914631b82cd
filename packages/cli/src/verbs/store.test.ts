import { expect, test } from 'vitest';
import { keyfleet } from '../keyfleet.ts';
import { runCli } from '../run-cli.ts';

test.each(['', 'before', '3a1bd1d0-3b3f-4c3c-8b64-1b0c5e0e7a5', '3A1BD1D0-3B3F-4C3C-8B64-1B0C5E0E7A5D'])(
  'store accept takes no place of %o, which is no store',
  async (id) => {
    const notes: string[] = [];
    const terminal = {
      write: () => expect.fail(),
      note: (text: string) => void notes.push(text),
      askSecret: () => expect.fail(),
    };
    const options = ['--as', 'anna', '--key', 'anna.pem', '--trust-anchor', 'trust-anchor.json'];
    const args = ['store', 'accept', `--in-place-of=${id}`, ...options, '--redis', 'redis://127.0.0.1:1'];
    expect(await runCli(keyfleet(terminal), args, terminal)).toBe(2);
    expect(notes).toEqual([`keyfleet: --in-place-of: '${id}' is no store's id. Services say it: "before (...)".`]);
  },
);
