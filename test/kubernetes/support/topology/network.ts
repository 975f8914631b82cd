import { execa } from 'execa';
import { prefixOf, removeRemains } from './remains.ts';

/** Of RFC 2544: for tests, and routed nowhere. */
export const NODE = { address: '198.18.0.1', dns: '198.18.0.1', services: '198.18.255.0/24' } as const;

/**
 * A bridge and a namespace for each Pod, on this machine. What a run left that was killed goes first; disposing of it
 * removes everything. Asks for root.
 */
export class Network implements AsyncDisposable {
  readonly #name = prefixOf(process.pid);
  readonly #namespaces = new Set<string>();
  #last = 1;

  private constructor() {}

  static async start(): Promise<Network> {
    if (process.getuid?.() !== 0) throw new Error('The topology needs root: it makes network namespaces.');
    await removeRemains();
    const network = new Network();
    const bridge = network.#name;
    await ip(`link add ${bridge} type bridge`, `addr add ${NODE.address}/16 dev ${bridge}`, `link set ${bridge} up`);
    return network;
  }

  /** A namespace with an address of its own, which nothing had before. */
  async add(): Promise<{ readonly namespace: string; readonly address: string }> {
    const number = ++this.#last;
    const namespace = `${this.#name}-${number}`;
    const address = `198.18.${Math.floor(number / 250)}.${2 + (number % 250)}`;
    const end = `v${namespace}`;
    this.#namespaces.add(namespace);
    await ip(
      `netns add ${namespace}`,
      `link add ${end} type veth peer name eth0 netns ${namespace}`,
      `link set ${end} master ${this.#name} up`,
    );
    const inside = [`addr add ${address}/16 dev eth0`, 'link set lo up', 'link set eth0 up'];
    await execa('ip', ['-netns', namespace, '-batch', '-'], { input: inside.join('\n') });
    return { namespace, address };
  }

  async remove(namespace: string): Promise<void> {
    if (this.#namespaces.delete(namespace)) await ip(`netns del ${namespace}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const namespace of this.#namespaces) await this.remove(namespace);
    await ip(`link del ${this.#name}`);
  }
}

/** Runs nftables' commands in a namespace, all or none. */
export async function nft(namespace: string, commands: string): Promise<string> {
  const { stdout } = await execa('nsenter', [`--net=/run/netns/${namespace}`, 'nft', '--json', commands]);
  return stdout;
}

async function ip(...commands: readonly string[]): Promise<void> {
  await execa('ip', ['-batch', '-'], { input: commands.join('\n') });
}
