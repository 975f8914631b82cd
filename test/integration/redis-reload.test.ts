import { spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { expect, test, vi } from 'vitest';
import { CertificateAuthority } from '../../tools/certificates.ts';
import { newPort } from '../../tools/ports.ts';

// deploy/redis/single.sh and the scripts that it runs, with directories and a port of their own.

const scripts = join(import.meta.dirname, '../../deploy/redis');

test('a Redis whose certificate has ended takes the one that is renewed afterwards', async () => {
  await using home = await mkdtempDisposable(join(tmpdir(), 'keyfleet-redis-'));
  const port = await newPort();
  const inHome = (name: string) => join(home.path, name);
  for (const name of ['redis', 'tls', 'secrets', 'run', 'data']) mkdirSync(inHome(name));
  const places: [string, string][] = [
    ['/etc/redis', inHome('redis')],
    ['/run/tls', inHome('tls')],
    ['/run/secrets', inHome('secrets')],
    ['/run/redis', inHome('run')],
    ['dir /data', `dir ${inHome('data')}`],
    ['6379', `${port}`],
    ['sleep 10', 'sleep 1'],
  ];
  for (const name of readdirSync(scripts)) {
    const text = readFileSync(join(scripts, name), 'utf8');
    writeFileSync(
      join(inHome('redis'), name),
      places.reduce((all, [from, to]) => all.replaceAll(from, to), text),
    );
  }
  writeFileSync(join(inHome('secrets'), 'operator'), 'a password');

  const authority = await CertificateAuthority.create('authority');
  /** Its serial number. */
  const issue = async (validMs?: number): Promise<string> => {
    const { certificate, key } = await authority.issue('redis', ['redis'], validMs);
    for (const [name, text] of Object.entries({ crt: certificate, key }))
      writeFileSync(join(inHome('tls'), `tls.${name}`), text);
    return new X509Certificate(certificate).serialNumber;
  };
  writeFileSync(join(inHome('tls'), 'ca.crt'), authority.certificate);
  const presented = async (): Promise<string> => {
    const socket = connect({ host: '127.0.0.1', port, servername: 'redis', rejectUnauthorized: false });
    try {
      await once(socket, 'secureConnect');
      return socket.getPeerX509Certificate()!.serialNumber;
    } finally {
      socket.on('error', () => undefined).destroy();
    }
  };
  const isPresented = (serial: string) =>
    vi.waitFor(async () => expect(await presented()).toBe(serial), { timeout: 20_000, interval: 200 });

  const ended = await issue(-1_000);
  // In a group of its own, with what looks at the files beside Redis.
  const redis = spawn('sh', [inHome('redis/single.sh')], { detached: true, stdio: 'ignore' });
  const ends = once(redis, 'exit');
  try {
    await isPresented(ended);
    await isPresented(await issue());
  } finally {
    process.kill(-redis.pid!, 'SIGKILL');
    await ends;
  }
});
