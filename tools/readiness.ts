import { Hsm } from '@keyfleet/proto';
import type { HsmDescription__Output } from '@keyfleet/proto/gen/keyfleet/hsm/v1/HsmDescription';
import { type Peers, plaintextPeers } from '@keyfleet/shared/grpc/peers';
import { once } from 'node:events';
import { get as httpGet, type IncomingMessage } from 'node:http';
import { get as httpsGet } from 'node:https';
import { connect } from 'node:net';
import { setTimeout } from 'node:timers/promises';

const POLL_MS = 25;
const PROBE_MS = 1000;

/** Polls. False once `budgetMs` are over, or if `hopeless` says so. */
export async function until(
  isReady: () => Promise<boolean>,
  budgetMs: number,
  hopeless: () => boolean,
): Promise<boolean> {
  const deadline = Date.now() + budgetMs;
  while (Date.now() < deadline && !hopeless()) {
    if (await isReady()) return true;
    await setTimeout(POLL_MS);
  }
  return false;
}

export async function tcpReady(port: number, host = '127.0.0.1'): Promise<boolean> {
  const socket = connect(port, host);
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(PROBE_MS) });
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** `ca`: of an endpoint that speaks TLS. */
export async function frontendReady(endpoint: string, ca?: string): Promise<boolean> {
  const get = endpoint.startsWith('https:') ? httpsGet : httpGet;
  try {
    const request = get(`${endpoint}/readyz`, { ca, signal: AbortSignal.timeout(PROBE_MS) });
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    response.resume();
    return response.statusCode === 200;
  } catch {
    return false;
  }
}

/** An hsm-worker's description of itself; undefined while it does not answer. */
export async function describeWorker(
  port: number,
  { credentials }: Pick<Peers, 'credentials'> = plaintextPeers,
): Promise<HsmDescription__Output | undefined> {
  if (!(await tcpReady(port))) return undefined;
  const client = new Hsm(`localhost:${port}`, credentials);
  const description = await new Promise<HsmDescription__Output | undefined>((resolve) => {
    client.Describe({}, { deadline: Date.now() + PROBE_MS }, (_error, answer) => resolve(answer));
  });
  client.close();
  return description;
}

/** Whether one of our services says that it is up: that its port answers shows less, another program may have it. */
export function saysReady(output: string): boolean {
  return output.includes('"msg":"ready"');
}

/**
 * What a process said last, for a person: the text and error of a JSON line, or the plain line, or the error of a
 * crash.
 */
export function lastLogLine(output: string): string {
  const lines = output.trimEnd().split('\n');
  const last = lines.at(-1) ?? '';
  try {
    const { msg = '', err } = JSON.parse(last) as { msg?: string; err?: { message?: string } };
    return err?.message === undefined ? msg : `${msg}: ${err.message}`;
  } catch {
    if (last === '') return 'it said nothing';
    return last.startsWith('Node.js v') ? (lines.findLast((line) => /^\w*Error\b/.test(line)) ?? last) : last;
  }
}
