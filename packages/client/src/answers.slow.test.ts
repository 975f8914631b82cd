import { credentials as channels } from '@grpc/grpc-js';
import { Kms } from '@keyfleet/proto/kms';
import { answering, bytesOf, framed, MANY, send } from '@keyfleet/test-support/http2-answers';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createKmsClient, type KmsClient } from './client.ts';
import { startSigningProxy } from './signing-proxy.ts';

// In a process of its own, in which nothing but the client bounds answers.

const options = {
  region: 'us-east-1',
  credentials: { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'x'.repeat(40) },
};

function clientOf(address: string): KmsClient {
  const kms = createKmsClient({ ...options, address });
  onTestFinished(() => kms[Symbol.dispose]());
  return kms;
}

/** Who answers every call with thousands of pieces of a byte. */
function inPieces(): Promise<string> {
  return answering((stream) => send(stream, bytesOf(framed(Buffer.alloc(MANY)))));
}

test('an answer in thousands of pieces of a byte is refused', async () => {
  const kms = clientOf(await inPieces());
  await expect(kms.ListKeys({})).rejects.toThrow('the answer comes in too many pieces');
});

test('a server that pushes a stream is left', async () => {
  const address = await answering((stream) => {
    stream.pushStream({ ':path': '/' }, (_, pushed) => pushed.on('error', () => {}));
  });
  await expect(clientOf(address).ListKeys({})).rejects.toThrow('the server pushes streams');
});

test('an answer with millions of empty keys is refused before anything is made of it', async () => {
  const message = Buffer.alloc(2_000_000, Buffer.of(0x0a, 0));
  const kms = clientOf(await answering((stream) => void stream.end(framed(message))));
  await expect(kms.ListKeys({})).rejects.toThrow('the message has too many fields');
});

test('the signing proxy takes no answer in thousands of pieces either', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'keyfleet-'));
  const socket = join(folder.path, 'grpc.sock');
  await using _proxy = await startSigningProxy({ ...options, address: await inPieces(), socket });
  const client = new Kms(`unix:${socket}`, channels.createInsecure());
  onTestFinished(() => client.close());
  const { promise, reject } = Promise.withResolvers<never>();
  client['ListKeys']!({}, (error: Error) => reject(error));
  await expect(promise).rejects.toThrow('the answer comes in too many pieces');
});
