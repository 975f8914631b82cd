import { expect, test } from 'vitest';
import { startServer } from './other-server.ts';

const readyUrl = 'http://127.0.0.1:1/';

test('a server that is not installed is one line that says where to get it', async () => {
  const start = startServer({ command: 'no-such-server', args: [], readyUrl, install: 'the moon has it' });
  await expect(start).rejects.toThrow('no-such-server is not on the PATH: the moon has it.');
});

test('a server that ends at once is reported in its own words', async () => {
  const args = ['-e', 'console.error("a port is taken"); process.exit(1)'];
  const start = startServer({ command: process.execPath, args, readyUrl, install: '' });
  await expect(start).rejects.toThrow(/ended at once: a port is taken/);
});
