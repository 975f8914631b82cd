import { FakeDomain, HostEnd, negotiate, newHost, newWorker } from '@keyfleet/test-support/session-pair';

/**
 * What a session and a stream cost when they begin, both ends in one process: how long each takes, what CPU it costs,
 * and how much of that on the event loop's thread, where everything else waits for it. `node bench/micro/session.ts
 * [rounds]`.
 */
const rounds = Number(process.argv[2] ?? 200);
const host = newHost();
const domain = new FakeDomain([host]);
const { service } = newWorker(domain);
const session = await negotiate(domain, host, service);

await measure('a session negotiated', () => negotiate(domain, host, service));
await measure('a stream opened', () => HostEnd.open(service, session, domain));

async function measure(name: string, run: () => Promise<unknown>): Promise<void> {
  for (let i = 0; i < 20; i++) await run();
  const [cpu, thread, startedAt] = [process.cpuUsage(), process.threadCpuUsage(), performance.now()];
  for (let i = 0; i < rounds; i++) await run();
  const each = (performance.now() - startedAt) / rounds;
  const ms = ({ user, system }: NodeJS.CpuUsage): string => ((user + system) / 1000 / rounds).toFixed(2);
  const costs = `CPU ${ms(process.cpuUsage(cpu))} ms, of which on the event loop ${ms(process.threadCpuUsage(thread))} ms`;
  console.log(`${name.padEnd(22)} ${each.toFixed(2)} ms, ${costs}`);
}
