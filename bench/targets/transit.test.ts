import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { UnsupportedError } from '../bench-error.ts';
import { PreparedTarget } from '../measure/prepared-target.ts';
import { getScenario } from '../scenarios/catalog.ts';
import { transit } from './transit.ts';

// As much of transit's API as its documentation shows: a key is made by its name, answers are under `data`.
type Body = Record<string, string>;
const keys = new Map<string, { type: string; pem?: string; public_key?: string }>();

function answer(method: string, path: string, body: Body): object | undefined {
  const [, , , what, name = ''] = path.split('/');
  const key = keys.get(name);
  if (what === 'keys' && method === 'POST') {
    const { privateKey, publicKey } = generateKeyPairSync('ec', {
      namedCurve: 'P-256',
      privateKeyEncoding: { format: 'pem', type: 'pkcs8' },
      publicKeyEncoding: { format: 'pem', type: 'spki' },
    });
    keys.set(name, { type: body['type']!, pem: privateKey, public_key: publicKey });
    return undefined;
  }
  const associated = body['associated_data'] ?? '';
  const input = Buffer.from(body['input'] ?? '', 'base64');
  switch (what) {
    case 'keys':
      return { name, type: key!.type, keys: { 1: { public_key: key!.public_key } } };
    case 'encrypt':
      return { ciphertext: `vault:v1:${Buffer.from(`${associated}|${body['plaintext']}`).toString('base64')}` };
    case 'decrypt': {
      const [bound, plaintext] = Buffer.from(body['ciphertext']!.slice(9), 'base64').toString().split('|');
      if (bound !== associated) throw new Error('another context');
      return { plaintext };
    }
    case 'sign':
      return { signature: `vault:v1:${sign('sha256', input, createPrivateKey(key!.pem!)).toString('base64')}` };
    case 'verify': {
      const signature = Buffer.from(body['signature']!.slice(9), 'base64');
      return { valid: verify('sha256', input, createPublicKey(key!.public_key!), signature) };
    }
    default:
      throw new Error(`no ${what}`);
  }
}

let server: Server;

beforeAll(async () => {
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      try {
        if (request.headers['x-vault-token'] !== 'root') throw new Error('permission denied');
        const data = answer(
          request.method!,
          request.url!,
          JSON.parse(Buffer.concat(chunks).toString() || '{}') as Body,
        );
        response.writeHead(data === undefined ? 204 : 200).end(data === undefined ? '' : JSON.stringify({ data }));
      } catch (error) {
        response.writeHead(400).end(JSON.stringify({ errors: [(error as Error).message] }));
      }
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
});

async function prepare(scenario: string, token = 'root') {
  const { port } = server.address() as AddressInfo;
  const endpoint = { transport: 'http1', tls: false, host: '127.0.0.1', port } as const;
  const target = { name: 'bao', endpoint, protocol: transit('transit', token), processes: () => ({}) };
  using prepared = new PreparedTarget(target, () => undefined);
  const parts = [{ scenario: getScenario(scenario), weight: 1 }];
  return await prepared.poolsFor({ name: scenario, parts, payload: 32, context: 2, keys: 3 });
}

test.each(['encrypt', 'decrypt', 'sign-p256', 'verify-p256', 'describe-key'])(
  '%s is prepared on transit',
  async (name) => {
    const [pool] = await prepare(name);
    expect(pool!.requests.length).toBeGreaterThan(0);
    expect(pool!.requests[0]!.path).toMatch(/^\/v1\/transit\//);
  },
);

test('operations that transit does not have are left out, with the reason', async () => {
  await expect(prepare('generate-data-key')).rejects.toThrow(
    new UnsupportedError('transit binds no context to a data key'),
  );
  await expect(prepare('sign-ml-dsa-44')).rejects.toThrow('transit has no ML_DSA_44');
  await expect(prepare('create-key')).rejects.toThrow('the caller names its keys');
});

test('a token that is refused is said with the answer', async () => {
  await expect(prepare('encrypt', 'wrong')).rejects.toThrow(
    'CreateKey is answered with HTTP 400: {"errors":["permission denied"]}',
  );
});
