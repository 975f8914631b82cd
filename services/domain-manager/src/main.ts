import { systemClock } from '@keyfleet/shared/clock';
import { startNotices } from '@keyfleet/shared/notices';
import { loadTrustAnchor, runService, type ServiceContext } from '@keyfleet/shared/service';
import { reportOf, startPeers } from '@keyfleet/shared/grpc/peers';
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { DomainManagerConfig } from './config.ts';
import { DomainManagerEvents } from './events.ts';
import { startGrpcWorker } from './grpc-worker.ts';
import { loadScheduler } from './scheduler-key-file.ts';
import { startServer } from './server.ts';
import { servingOf } from './serving.ts';
import { startRounds } from './start-rounds.ts';
import { startStore } from './store/start-store.ts';

await runService({ name: 'domain-manager', config: DomainManagerConfig, run });

async function run(config: DomainManagerConfig, { log, signal, stopped }: ServiceContext): Promise<void> {
  await using resources = new AsyncDisposableStack();
  const anchor = loadTrustAnchor(config.trustAnchorFile);
  const scheduler = loadScheduler(config.schedulerKey);
  const replica = `${hostname()}/${randomUUID().slice(0, 8)}`;
  const events = new DomainManagerEvents(log);
  const assembly = { config, anchor, scheduler, replica, clock: systemClock, events, resources };

  let rounds: ReturnType<typeof startRounds> | undefined;
  const state = () => rounds?.tokens.head?.state;
  const stored = await startStore(assembly, { signal, state });
  if (stored === undefined) return;
  const onProblem = (problem: unknown): void => events.noticesProblem(problem);
  const notices = resources.use(
    startNotices({
      nats: config.nats,
      name: `domain-manager ${replica}`,
      streamReplicas: config.nats.replicas,
      onProblem,
    }),
  );
  const peers = resources.use(startPeers(config.peerTls, reportOf(log)));
  const caller = { credentials: peers.credentials, domain: anchor.domain, scheduler };
  const workers = config.hsmWorkers.map(({ text }) => resources.use(startGrpcWorker(text, caller)));
  const deps = { stored, notices, workers };
  rounds = startRounds(assembly, deps);
  await rounds.watch.started();
  resources.use(await startServer(config, peers.tls, servingOf(assembly, deps, rounds)));
  log.info({ grpc: config.grpc.text, replica, domain: anchor.domain }, 'ready');
  await stopped;
}
