import { systemClock } from '@keyfleet/shared/clock';
import { startNotices } from '@keyfleet/shared/notices';
import { loadTrustAnchor, runService, type ServiceContext } from '@keyfleet/shared/service';
import { reportOf, startPeers } from '@keyfleet/shared/grpc/peers';
import { observeGauge } from '@keyfleet/shared/telemetry/meters';
import { startAudit } from './audit/start-audit.ts';
import { startBackground } from './background/start-background.ts';
import { FrontendConfig } from './config.ts';
import { readinessOf } from './edge/readiness.ts';
import { isReady } from './edge/http.ts';
import { startEdges } from './edge/start-edges.ts';
import { FrontendEvents } from './events.ts';
import { loadHostIdentity } from './hsm/host-key-file.ts';
import { startDomainView, startHsm } from './hsm/start-hsm.ts';
import { newPipeline } from './request/new-pipeline.ts';
import { startXksProxy } from './xks-proxy/start-xks-proxy.ts';
import { connectStore, startStore } from './store/start-store.ts';
import { waitWithProbes } from './edge/wait-with-probes.ts';

await runService({ name: 'frontend', config: FrontendConfig, run });

/** Everything connects in the background, in any order; `/readyz` lists what is still missing. */
async function run(config: FrontendConfig, { log, signal, stopped }: ServiceContext): Promise<void> {
  // Reported from the start: a frontend that waits is not ready, and one that reports nothing is in no comparison.
  let ready = () => false;
  observeGauge('keyfleet.ready', () => Number(ready()));
  await using resources = new AsyncDisposableStack();
  const peers = resources.use(startPeers(config.peerTls, reportOf(log)));
  const assembly = { config, clock: systemClock, events: new FrontendEvents(log), log, peers, resources };
  const anchor = loadTrustAnchor(config.trustAnchorFile);
  const host = loadHostIdentity(config.hostKey);
  const audit = await startAudit(assembly);
  const connections = connectStore(assembly);
  if (!(await waitWithProbes(assembly, connections, signal))) return;

  const { nats } = config;
  const onProblem = (problem: unknown): void => assembly.events.noticesProblem(problem);
  const notices = resources.use(startNotices({ nats, name: config.hostKey.operatorId, onProblem }));
  const domain = await startDomainView(assembly, anchor, { notices, redis: connections.client });
  const { pool, hsm } = startHsm(assembly, host, domain);
  const stores = await startStore(assembly, connections, { domain, hsm });
  const { administrator, ...background } = startBackground(assembly, {
    connections,
    stores,
    domain,
    hsm,
    notices,
    audit,
  });
  const { pipeline, pipelineFor, performQuery } = newPipeline(assembly, {
    domain,
    stores,
    hsm,
    audit,
    ...background,
  });
  const readiness = () => readinessOf({ domain, pool, connections, stores, auditFile: audit.file, administrator });
  ready = () => isReady(readiness());
  resources.use(await startEdges(assembly, { pipeline, performQuery, readiness }));
  const { identities, cached: keys } = stores;
  await startXksProxy(assembly, { identities, keys, hsm, pipelineFor });
  log.info({ http: config.http.text, grpc: config.grpc.text }, 'ready');
  await stopped;
}
