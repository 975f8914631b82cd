import { execa } from 'execa';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BenchEvent } from './event.ts';

const main = join(import.meta.dirname, '../../packages/cli/src/main.ts');

/** What `keyfleet backup` does, by its command line. */
export const backup: BenchEvent = {
  name: 'backup',
  async run({ cluster }, mark) {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'keyfleet-bench-'));
    const { home, ports } = cluster!;
    const redis = [
      '--redis',
      `redis://127.0.0.1:${ports.redis}`,
      '--redis-password-file',
      home.secretFile('redis-password'),
    ];
    mark('backup begins');
    await execa(process.execPath, [main, 'backup', '--out', join(folder.path, 'backup'), ...redis]);
    mark('backup done');
  },
};
