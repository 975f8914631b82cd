import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:tls';
import type { Topology } from './topology.ts';

/** Of the services that read a new certificate while they run: its port, and the Secret that it presents. */
const presented = [
  ['frontend', 8900, 'edge-tls'],
  ['frontend', 8901, 'edge-tls'],
  ['frontend', 8900, 'public-tls'],
  ['frontend', 8901, 'public-tls'],
  ['hsm-worker', 8911, 'hsm-worker-tls'],
  ['domain-manager', 8921, 'domain-manager-tls'],
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

async function serialAt(host: string, port: number, servername: string): Promise<string> {
  const options = {
    host,
    port,
    servername,
    ALPNProtocols: ['h2', 'http/1.1'],
    rejectUnauthorized: false,
  };
  const socket = connect(options);
  await once(socket, 'secureConnect');
  const { serialNumber } = socket.getPeerX509Certificate()!;
  socket.destroy();
  return serialNumber;
}
