import { execa } from 'execa';
import type { Topology } from './topology.ts';

/** Prints the targets that answered, also with a refusal; what a policy drops says nothing. */
const knock = `
const net = require('node:net');
const answers = JSON.parse(process.argv[1]).map(([host, port]) => new Promise((resolve) => {
  const socket = net.connect({ host, port });
  const done = (reached) => { socket.destroy(); resolve(reached ? [[host, port]] : []); };
  socket.setTimeout(8000, () => done(false));
  socket.once('connect', () => done(true)).once('error', ({ code }) => done(code === 'ECONNREFUSED'));
}));
Promise.all(answers).then((all) => console.log(JSON.stringify(all.flat())));
`;

/** Where a program in that namespace gets to, of every port of every Pod but those of its own address: "redis:6379". */
export async function reachableFrom(topology: Topology, namespace: string): Promise<string[]> {
  const ports = topology.workloads.flatMap(({ template }) => template.containers.flatMap((one) => one.ports));
  const others = topology.pods().filter((pod) => pod.namespace !== namespace);
  const targets = others.flatMap(({ address }) => ports.map(({ containerPort }) => [address, containerPort]));
  const { stdout } = await execa('nsenter', [
    `--net=/run/netns/${namespace}`,
    process.execPath,
    '-e',
    knock,
    JSON.stringify(targets),
  ]);
  const reached = JSON.parse(stdout) as readonly (readonly [string, number])[];
  const appAt = (address: string): string => others.find((pod) => pod.address === address)!.app;
  return [...new Set(reached.map(([address, port]) => `${appAt(address)}:${port}`))].toSorted();
}
