import { credentials, Client } from '@grpc/grpc-js';
import { get as httpGet, type IncomingMessage } from 'node:http';
import { get as httpsGet } from 'node:https';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import type { Container } from './container.ts';
import type { ContainerSpec, Probe } from './rendered.ts';

const SERVING = 1;

/** Asks once, as kubelet does from the node. */
export async function probe(
  probe: Probe,
  spec: ContainerSpec,
  container: Container,
  address: string,
): Promise<boolean> {
  const timeoutMs = (probe.timeoutSeconds ?? 1) * 1000;
  if (probe.exec !== undefined) return (await container.exec(probe.exec.command, timeoutMs)).exitCode === 0;
  if (probe.grpc !== undefined) return askHealth(`${address}:${probe.grpc.port}`, probe.grpc.service ?? '', timeoutMs);
  const { path, port, scheme } = probe.httpGet!;
  const { containerPort } = spec.ports.find(({ name }) => name === port)!;
  return askHttp(`${scheme === 'HTTPS' ? 'https' : 'http'}://${address}:${containerPort}${path}`, timeoutMs);
}

async function askHttp(url: string, timeoutMs: number): Promise<boolean> {
  try {
    const response = await ask(url, timeoutMs);
    response.resume();
    return response.statusCode === 200;
  } catch {
    return false;
  }
}

/** For people: what is behind the answer to a probe. */
export async function bodyOf(url: string): Promise<string> {
  return text(await ask(url, 5_000));
}

async function ask(url: string, timeoutMs: number): Promise<IncomingMessage> {
  const options = { rejectUnauthorized: false, agent: false, signal: AbortSignal.timeout(timeoutMs) } as const;
  const request = url.startsWith('https:') ? httpsGet(url, options) : httpGet(url, options);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return response;
}

/** grpc.health.v1, whose messages are one field each. */
function askHealth(address: string, service: string, timeoutMs: number): Promise<boolean> {
  const client = new Client(address, credentials.createInsecure());
  const name = Buffer.from(service);
  const request = Buffer.concat([Buffer.from([0x0a, name.length]), name]);
  return new Promise((resolve) => {
    client.makeUnaryRequest(
      '/grpc.health.v1.Health/Check',
      (bytes: Buffer) => bytes,
      (bytes: Buffer) => bytes,
      request,
      { deadline: Date.now() + timeoutMs },
      (_error: unknown, answer?: Buffer) => {
        client.close();
        resolve(answer?.[1] === SERVING);
      },
    );
  });
}
