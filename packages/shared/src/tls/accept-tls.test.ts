import { TestAuthority } from '@keyfleet/test-support/certificates';
import { once } from 'node:events';
import { mkdtempDisposable } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type SecureVersion } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { acceptTls, ServerCertificates } from './accept-tls.ts';
import { readTls, TlsFiles } from './tls-files.ts';

const all = new AsyncDisposableStack();
let server: TlsFiles;
let client: ReturnType<typeof readTls>;
beforeAll(async () => {
  const folder = all.use(await mkdtempDisposable(join(tmpdir(), 'keyfleet-')));
  const authority = await TestAuthority.make(folder.path, 'roots');
  const { caFile } = authority;
  const config = { ...(await authority.issue('localhost')), caFile };
  server = all.use(new TlsFiles(config, { field: 'peerTls', onProblem: () => {} }));
  client = readTls({ ...(await authority.issue('client')), caFile }, { field: 'client' });
});
afterAll(() => all.disposeAsync());

/** A port that greets whoever has shown what it asks for. */
async function startPort(isMutual: boolean) {
  const certificates = new ServerCertificates([server], { mutual: isMutual });
  const listener = createServer(acceptTls(certificates, (socket) => void socket.write('hello')));
  await once(listener.listen(0, '127.0.0.1'), 'listening');
  return {
    port: (listener.address() as AddressInfo).port,
    [Symbol.asyncDispose]: () => listener[Symbol.asyncDispose](),
  };
}

/** Returns the session that the port hands out, if any. */
async function visit(port: number, maxVersion: SecureVersion, session?: Buffer) {
  const options = { host: '127.0.0.1', port, servername: 'localhost', ALPNProtocols: ['h2'], maxVersion };
  const socket = connect({ ...client, ...options, ...(session && { session }) });
  let handedOut: Buffer | undefined;
  socket.on('session', (one: Buffer) => (handedOut = one));
  await once(socket, 'data');
  const isResumed = socket.isSessionReused();
  socket.destroy();
  return { isResumed, session: handedOut };
}

describe.each(['TLSv1.2', 'TLSv1.3'] as const)('with %s', (version) => {
  test.each([
    ['which asks for a certificate, every client shows one: no session is resumed', true, false],
    ['which asks for none, sessions are resumed', false, true],
  ])('at a port %s', async (_, isMutual, isResumed) => {
    await using port = await startPort(isMutual);
    const { session } = await visit(port.port, version);
    expect(await visit(port.port, version, session)).toMatchObject({ isResumed });
  });
});
