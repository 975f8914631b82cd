import { execa } from 'execa';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TlsConfig } from '@keyfleet/shared/tls/tls-files';
import { redisConfigOf } from '../../tools/service-configs.ts';
import type { BenchEvent } from './catalog.ts';

const main = join(import.meta.dirname, '../../packages/cli/src/main.ts');

/** What `keyfleet backup` does, by its command line. */
export const backup: BenchEvent = {
  name: 'backup',
  async run({ cluster }, mark) {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'keyfleet-bench-'));
    const { home, ports } = cluster!;
    const { url, passwordFile, tls } = redisConfigOf(home, ports, 'operator');
    const redis = ['--redis', url, '--redis-password-file', passwordFile, ...(tls ? tlsArgs(tls) : [])];
    mark('backup begins');
    await execa(process.execPath, [main, 'backup', '--out', join(folder.path, 'backup'), ...redis]);
    mark('backup done');
  },
};

function tlsArgs({ caFile, certificateFile, keyFile }: TlsConfig): string[] {
  return ['--tls-ca', caFile, '--tls-cert', certificateFile, '--tls-key', keyFile];
}
