import { execa } from 'execa';
import type { Topology } from './topology.ts';

/** Who is connected to what reads its certificate again, while it runs. */
const lasting = [
  ['frontend', 6379],
  ['domain-manager', 6379],
  ['frontend', 4222],
  ['hsm-worker', 4222],
  ['domain-manager', 4222],
  ['nats', 6222],
] as const;

/** Each connection to Redis and NATS by the port that it comes from, `frontend-0 10.0.0.7:41234 -> 6379`. */
export async function lastingConnections(topology: Topology): Promise<string[]> {
  const pods = lasting.flatMap(([app, port]) => topology.pods(app).map((pod) => ({ pod, port })));
  const found = pods.map(async ({ pod: { name, namespace }, port }) => {
    const filter = ['-Htn', 'state', 'established', 'dport', '=', `:${port}`];
    const { stdout } = await execa('nsenter', [`--net=/run/netns/${namespace}`, 'ss', ...filter]);
    const lines = stdout.split('\n').filter((line) => line !== '');
    return lines.map((line) => `${name} ${line.trim().split(/\s+/)[2]!} -> ${port}`);
  });
  return (await Promise.all(found)).flat();
}
