import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { connect, type ConnectionOptions } from 'node:tls';
import type { Topology } from './topology.ts';

/** Of NATS, for its clients. */
const NATS = 4222;

/** Of everything that presents a certificate: its port, and the Secret that it is in. */
const presented = [
  ['frontend', 8900, 'edge-tls'],
  ['frontend', 8901, 'edge-tls'],
  ['frontend', 8900, 'public-tls'],
  ['frontend', 8901, 'public-tls'],
  ['hsm-worker', 8911, 'hsm-worker-tls'],
  ['domain-manager', 8921, 'domain-manager-tls'],
  ['redis', 6379, 'redis-tls'],
  ['redis', 26379, 'redis-tls'],
  ['nats', NATS, 'nats-tls'],
  ['nats', 6222, 'nats-tls'],
] as const;

/** The ports that present another certificate than the one in a Secret of theirs, `frontend-0:8900 edge-tls`. */
export async function presentingOthers(topology: Topology): Promise<string[]> {
  const ports = presented.flatMap(([app, port, secret]) => topology.pods(app).map((pod) => ({ pod, port, secret })));
  const wrong = ports.map(async ({ pod, port, secret }) => {
    const expected = new X509Certificate(topology.objects.secrets.get(secret)!['tls.crt']!);
    const serial = await serialAt(pod.address, port, topology.objects.certManager.nameIn(secret));
    return serial === expected.serialNumber ? [] : [`${pod.name}:${port} ${secret}`];
  });
  return (await Promise.all(wrong)).flat();
}

/** The ports that ask for a certificate and take this one, a key and certificate in PEM: `redis-0:6379`. */
export async function taking(topology: Topology, client: Readonly<Record<string, Buffer>>): Promise<string[]> {
  const mutual = presented.filter(([app]) => app !== 'frontend');
  const ports = mutual.flatMap(([app, port, secret]) => topology.pods(app).map((pod) => ({ pod, port, secret })));
  const taken = ports.map(async ({ pod, port, secret }) => {
    const name = topology.objects.certManager.nameIn(secret);
    // In TLS 1.3 a client would hear later that its certificate was refused.
    const options = { key: client['tls.key']!, cert: client['tls.crt']!, maxVersion: 'TLSv1.2' } as const;
    return (await serialAt(pod.address, port, name, options)) === undefined ? [] : [`${pod.name}:${port}`];
  });
  return (await Promise.all(taken)).flat();
}

/** What is presented to who asks for the name; undefined if nothing is, as by what starts, or by who refuses `own`. */
export async function serialAt(host: string, port: number, servername: string, own: ConnectionOptions = {}) {
  // Who goes away while it is not looked at says so to nobody.
  const tcp = connectTcp({ host, port }).on('error', () => undefined);
  try {
    await once(tcp, 'connect');
    // It says who it is, before TLS (https://docs.nats.io/reference/reference-protocols/nats-protocol#info).
    if (port === NATS) await once(tcp, 'data');
    const ALPNProtocols = ['h2', 'http/1.1'];
    const socket = connect({ socket: tcp, servername, ALPNProtocols, rejectUnauthorized: false, ...own });
    socket.on('error', () => undefined);
    await once(socket, 'secureConnect');
    return socket.getPeerX509Certificate()!.serialNumber;
  } catch {
    return undefined;
  } finally {
    tcp.destroy();
  }
}
