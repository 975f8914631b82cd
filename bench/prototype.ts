// The floor: the least code that does the whole path of an Encrypt (HTTP, SigV4, JSON, sealed batch, another process, KDF,
// AES-GCM and back), without policies, caches, errors, limits or audit. What Keyfleet is measured against, in the same run.
import { canonicalPath, canonicalRequest, headersByName } from '@keyfleet/shared/sigv4/canonical-request';
import {
  deriveSigningKey,
  isSameSignature,
  newSigningSecret,
  signatureOf,
  stringToSign,
} from '@keyfleet/shared/sigv4/signature';
import { fork } from 'node:child_process';
import { createSecretKey, hash, type KeyObject, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SealedFrames } from './prototype-protocol.ts';

const [secretAccessKey = ''] = process.argv.slice(2);
const socketPath = join(tmpdir(), `keyfleet-prototype-${process.pid}.sock`);
const keyBytes = randomBytes(32);
const worker = fork(join(import.meta.dirname, 'prototype-worker.ts'), [socketPath, keyBytes.toString('hex')]);
await once(worker, 'message');

const waiting = new Map<number, (ciphertext: Buffer) => void>();
let lastId = 0;
const frames = new SealedFrames(connect(socketPath), createSecretKey(keyBytes), false, (item) => {
  const id = item.readUInt32BE();
  waiting.get(id)?.(item.subarray(4));
  waiting.delete(id);
});

function encrypt(plaintext: Buffer): Promise<Buffer> {
  return new Promise((resolve) => {
    const id = Buffer.alloc(4);
    lastId = (lastId + 1) % 0xffff_ffff;
    id.writeUInt32BE(lastId);
    waiting.set(lastId, resolve);
    frames.send(Buffer.concat([id, plaintext]));
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

async function answer(request: IncomingMessage, response: ServerResponse, body: Buffer): Promise<void> {
  if (!isSigned(request, body)) return void response.writeHead(400).end();
  const { KeyId, Plaintext } = JSON.parse(body.toString()) as { KeyId: string; Plaintext: string };
  const ciphertext = await encrypt(Buffer.from(Plaintext, 'base64'));
  const CiphertextBlob = ciphertext.toString('base64');
  const text = JSON.stringify({ CiphertextBlob, KeyId, EncryptionAlgorithm: 'SYMMETRIC_DEFAULT' });
  response.writeHead(200, { 'content-type': 'application/x-amz-json-1.1', 'content-length': Buffer.byteLength(text) });
  response.end(text);
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
