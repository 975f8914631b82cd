import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';

const ZONE = '.svc.cluster.local';
const TYPE_A = 1;
const NXDOMAIN = 3;

/** /etc/resolv.conf, as kubelet writes it. */
export const resolvConf = (server: string): string =>
  `search keyfleet.svc.cluster.local svc.cluster.local cluster.local\nnameserver ${server}\noptions ndots:5\n`;

/** The DNS of the cluster: addresses of Services, and of Pods in headless ones, as they are now. */
export class Names implements AsyncDisposable {
  /** `hsm-worker-0.hsm-worker.keyfleet` -> address; with a dot at its end, a name that is not of the cluster. */
  readonly addresses = new Map<string, string>();
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('message', (query, { port, address }) => {
      const answer = this.#answer(query);
      if (answer !== undefined) socket.send(answer, port, address);
    });
  }

  /** `port`: 0 for any that is free. */
  static async listen(address: string, port = 53): Promise<Names> {
    const socket = createSocket('udp4');
    socket.bind(port, address);
    await once(socket, 'listening');
    return new Names(socket);
  }

  get port(): number {
    return this.#socket.address().port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#socket, 'close');
    this.#socket.close();
    await closed;
  }

  /** RFC 1035, for one question. */
  #answer(query: Buffer): Buffer | undefined {
    if (query.length < 17 || query.readUInt16BE(4) !== 1) return undefined;
    const labels: string[] = [];
    let at = 12;
    for (let length = query[at]!; length > 0; length = query[at]!) {
      labels.push(query.toString('latin1', at + 1, at + 1 + length));
      at += length + 1;
      if (at >= query.length) return undefined;
    }
    const end = at + 5;
    const name = labels.join('.').toLowerCase();
    const found = this.addresses.get(name.endsWith(ZONE) ? name.slice(0, -ZONE.length) : `${name}.`);
    const wantsAddress = query.readUInt16BE(at + 1) === TYPE_A;
    const answers = found !== undefined && wantsAddress ? 1 : 0;
    const header = Buffer.alloc(12);
    query.copy(header, 0, 0, 2);
    header.writeUInt16BE(0x8580 | (found === undefined ? NXDOMAIN : 0), 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(answers, 6);
    const parts = [header, query.subarray(12, end)];
    if (answers === 1)
      parts.push(Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, ...found!.split('.').map(Number)]));
    return Buffer.concat(parts);
  }
}
