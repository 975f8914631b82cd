import { once } from 'node:events';
import { type AddressInfo, connect as connectPlain, createServer } from 'node:net';
import { connect, type SecureVersion, type TLSSocket } from 'node:tls';
import { beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { CertificateAuthority } from '../../../../tools/certificates.ts';
import { acceptTls, ServerCertificates } from './accept-tls.ts';
import type { TlsMaterial } from './tls-files.ts';

let first: CertificateAuthority;
let second: CertificateAuthority;
beforeAll(async () => {
  first = await CertificateAuthority.create('first');
  second = await CertificateAuthority.create('second');
});

async function materialOf(
  issuer: CertificateAuthority,
  name: string,
  validMs?: number,
): Promise<Omit<TlsMaterial, 'ca'>> {
  const { certificate: cert, key } = await issuer.issue(name, [name], validMs);
  return { cert, key };
}

/** A port that greets whoever has shown what it asks for. */
async function startPort({ mutual }: { mutual: boolean }) {
  const own = await materialOf(first, 'localhost');
  const listeners: (() => void)[] = [];
  const files = {
    material: { ...own, ca: first.certificate },
    onChange: (listener: () => void) => void listeners.push(listener),
  };
  const certificates = new ServerCertificates([files], { mutual, clock: { now: () => Date.now() } });
  const listener = createServer(acceptTls(certificates, (socket) => void socket.write('hello')));
  await once(listener.listen(0, '127.0.0.1'), 'listening');
  const { port } = listener.address() as AddressInfo;
  const visitors: TLSSocket[] = [];
  return {
    number: port,
    /** Undefined if the client was ended before it was greeted. */
    async visit(shown: Omit<TlsMaterial, 'ca'>, options: { maxVersion?: SecureVersion; session?: Buffer } = {}) {
      const where = { host: '127.0.0.1', port, servername: 'localhost', ca: first.certificate };
      const socket = connect({ ...where, ALPNProtocols: ['h2'], ...shown, ...options });
      visitors.push(socket);
      const visit = { socket, session: undefined as Buffer | undefined };
      socket.on('session', (session: Buffer) => (visit.session = session));
      const nothing = (): undefined => undefined;
      return Promise.race([
        once(socket, 'data').then(() => visit, nothing),
        once(socket, 'close').then(nothing, nothing),
      ]);
    },
    trust(...authorities: readonly CertificateAuthority[]): void {
      files.material = { ...own, ca: authorities.map(({ certificate }) => certificate).join('') };
      for (const tell of listeners) tell();
    },
    async [Symbol.asyncDispose]() {
      for (const visitor of visitors) visitor.destroy();
      await listener[Symbol.asyncDispose]();
    },
  };
}

describe.each(['TLSv1.2', 'TLSv1.3'] as const)('with %s', (maxVersion) => {
  test.each([
    ['which asks for a certificate, every client shows one: no session is resumed', true, false],
    ['which asks for none, sessions are resumed', false, true],
  ])('at a port %s', async (_, mutual, isResumed) => {
    await using port = await startPort({ mutual });
    const client = await materialOf(first, 'client');
    for (const change of [() => {}, () => port.trust(first)]) {
      change();
      const { session } = (await port.visit(client, { maxVersion }))!;
      const { socket } = (await port.visit(client, { maxVersion, ...(session && { session }) }))!;
      expect(socket.isSessionReused()).toBe(isResumed);
    }
  });
});

test('clients whose authority is taken out are ended at once, and the others go on', async () => {
  await using port = await startPort({ mutual: true });
  const old = await materialOf(first, 'old');
  const sendsAll = { ...old, cert: old.cert + first.certificate };
  const pretends = { ...old, cert: old.cert + (await materialOf(second, 'another')).cert + second.certificate };
  const gone = [old, sendsAll, pretends].map(async (shown) => (await port.visit(shown))!);
  const sockets = (await Promise.all(gone)).map(({ socket }) => socket);
  port.trust(second, first);
  const { socket: honest } = (await port.visit(await materialOf(second, 'new')))!;
  const ends = sockets.map((socket) => once(socket, 'close'));
  port.trust(second);
  await Promise.all(ends);
  expect(await port.visit(old)).toBeUndefined();
  expect(await port.visit(await materialOf(second, 'newer'))).toBeDefined();
  expect(honest.destroyed).toBe(false);
});

test('a client whose authority is taken out during its handshake is ended', async () => {
  await using port = await startPort({ mutual: true });
  const early = connectPlain(port.number, '127.0.0.1');
  await once(early, 'connect');
  // By then the port has accepted it, in its turn.
  expect(await port.visit(await materialOf(first, 'next'))).toBeDefined();
  port.trust(second);
  const old = await materialOf(first, 'old');
  const socket = connect({ socket: early, checkServerIdentity: () => undefined, ca: first.certificate, ...old });
  await once(socket, 'close');
});

test('a connection ends with the certificate of its client', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'] });
  onTestFinished(() => void vi.useRealTimers());
  await using port = await startPort({ mutual: true });
  const { socket: longer } = (await port.visit(await materialOf(first, 'longer')))!;
  const { socket } = (await port.visit(await materialOf(first, 'for an hour', 3_600_000)))!;
  const ended = once(socket, 'close');
  vi.advanceTimersByTime(3_500_000);
  expect(await port.visit(await materialOf(first, 'another'))).toBeDefined();
  expect(socket.destroyed).toBe(false);
  vi.advanceTimersByTime(200_000);
  await ended;
  expect(longer.destroyed).toBe(false);
});

test('clients go on while their authority is renewed with its key', async () => {
  await using port = await startPort({ mutual: true });
  const { socket } = (await port.visit(await materialOf(first, 'client')))!;
  port.trust(await first.renewed());
  expect(await port.visit(await materialOf(first, 'next'))).toBeDefined();
  expect(socket.destroyed).toBe(false);
});
