// The floor: the least code that does the whole path of an Encrypt or a Decrypt (HTTP, SigV4, JSON, sealed batch,
// another process, KDF, AES-GCM and back), without policies, caches, errors, limits or audit. What Keyfleet is measured
// against, in the same run.
import {
  canonicalPath,
  canonicalRequest,
  deriveSigningKey,
  headersByName,
  isSameSignature,
  newSigningSecret,
  signatureOf,
  stringToSign,
} from '@keyfleet/shared/sigv4';
import { fork } from 'node:child_process';
import { createSecretKey, hash, type KeyObject, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DECRYPT, ENCRYPT, ITEM_HEAD, SealedFrames } from './prototype-protocol.ts';

const [secretAccessKey = ''] = process.argv.slice(2);
const socketPath = join(tmpdir(), `keyfleet-prototype-${process.pid}.sock`);
const keyBytes = randomBytes(32);
const worker = fork(join(import.meta.dirname, 'prototype-worker.ts'), [socketPath, keyBytes.toString('hex')]);
await once(worker, 'message');

const waiting = new Map<number, (output: Buffer) => void>();
let lastId = 0;
const frames = new SealedFrames(connect(socketPath), createSecretKey(keyBytes), false, (item) => {
  const id = item.readUInt32BE();
  waiting.get(id)?.(item.subarray(ITEM_HEAD));
  waiting.delete(id);
});

function execute(what: number, input: Buffer): Promise<Buffer> {
  return new Promise((resolve) => {
    const head = Buffer.alloc(ITEM_HEAD);
    lastId = (lastId + 1) % 0xffff_ffff;
    head.writeUInt32BE(lastId);
    head[ITEM_HEAD - 1] = what;
    waiting.set(lastId, resolve);
    frames.send(Buffer.concat([head, input]));
  });
}

const signingKeys = new Map<string, KeyObject>();

function isSigned(request: IncomingMessage, body: Buffer): boolean {
  const headers = headersByName(request.rawHeaders);
  const pattern = /Credential=([^/]+)\/(\d+)\/([^/]+)\/([^/]+)\/aws4_request, SignedHeaders=([^,]+), Signature=(\w+)/;
  const [, , date = '', region = '', service = '', signedHeaders = '', signature = ''] =
    pattern.exec(headers.get('authorization') ?? '') ?? [];
  const scope = { date, region, service };
  const name = `${date}/${region}`;
  let key = signingKeys.get(name);
  if (!key) signingKeys.set(name, (key = deriveSigningKey(newSigningSecret(secretAccessKey), scope)));
  const canonical = canonicalRequest(
    { method: 'POST', path: canonicalPath('/'), query: '', headers, payloadHash: hash('sha256', body, 'hex') },
    signedHeaders,
  );
  if (canonical === undefined) return false;
  return isSameSignature(signatureOf(key, stringToSign(canonical, headers.get('x-amz-date') ?? '', scope)), signature);
}

/** Its one key is always there. */
async function outputOf(target: string | undefined, body: Buffer): Promise<object | undefined> {
  const input = JSON.parse(body.toString()) as { KeyId: string; Plaintext: string; CiphertextBlob: string };
  switch (target) {
    case 'TrentService.Encrypt': {
      const CiphertextBlob = (await execute(ENCRYPT, Buffer.from(input.Plaintext, 'base64'))).toString('base64');
      return { CiphertextBlob, KeyId: input.KeyId, EncryptionAlgorithm: 'SYMMETRIC_DEFAULT' };
    }
    case 'TrentService.Decrypt': {
      const Plaintext = (await execute(DECRYPT, Buffer.from(input.CiphertextBlob, 'base64'))).toString('base64');
      return { Plaintext, KeyId: 'prototype', EncryptionAlgorithm: 'SYMMETRIC_DEFAULT' };
    }
    case 'TrentService.CreateKey':
      return Object.keys(input).length === 0 ? { KeyMetadata: { KeyId: 'prototype', Arn: 'prototype' } } : undefined;
    default:
      return undefined;
  }
}

async function answer(request: IncomingMessage, response: ServerResponse, body: Buffer): Promise<void> {
  const output = isSigned(request, body) ? await outputOf(String(request.headers['x-amz-target']), body) : undefined;
  const text = JSON.stringify(output ?? { __type: 'AccessDeniedException' });
  const headers = { 'content-type': 'application/x-amz-json-1.1', 'content-length': Buffer.byteLength(text) };
  response.writeHead(output === undefined ? 400 : 200, headers).end(text);
}

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => void answer(request, response, Buffer.concat(chunks)));
});
server.listen(0, '127.0.0.1', () => {
  process.send?.({ port: (server.address() as AddressInfo).port, workerPid: worker.pid });
});
process.on('disconnect', () => process.exit());
