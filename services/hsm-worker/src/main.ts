import { newTokenSource } from '@keyfleet/proto/token-source';
import { monotonicClock, systemClock } from '@keyfleet/shared/clock';
import type { Log } from '@keyfleet/shared/log';
import { startNotices } from '@keyfleet/shared/notices';
import { loadTrustAnchor, runService, type ServiceContext } from '@keyfleet/shared/service';
import { reportOf, startPeers } from '@keyfleet/shared/grpc/peers';
import { TokenFollower } from '@keyfleet/shared/token-follower';
import { BackingKeyCache } from './boundary/keys/backing-keys.ts';
import { disconnectAll, newClusters } from './clusters.ts';
import { WorkerConfig } from './config.ts';
import { DomainCalls } from './domain-calls.ts';
import { WorkerEvents } from './events.ts';
import { checkPublicIdentity, identityFileOf, openHeldTokens, openHsm, publishIdentity } from './identity-files.ts';
import { DurableHsm } from './durable-hsm.ts';
import { startWorkerServer } from './server.ts';
import { startSessions } from './start-sessions.ts';

/** A domain-manager that hangs keeps no worker from starting. */
const FIRST_LOOK_MS = 5_000;
/** How long an opened key may stay beyond its age. Few are dropped at once. */
const DROP_MS = 1_000;

await runService({ name: 'hsm-worker', config: WorkerConfig, run });

async function run(config: WorkerConfig, { log, stopped }: ServiceContext): Promise<void> {
  await using resources = new AsyncDisposableStack();
  const clock = systemClock;
  const events = new WorkerEvents(log, () => follower.look());
  const { maxBytes, maxAge: maxAgeMs } = config.backingKeyCache;
  const backingKeys = new BackingKeyCache({ monotonicClock, maxBytes, maxAgeMs });
  const dropping = setInterval(() => backingKeys.dropOld(), DROP_MS);
  resources.defer(() => clearInterval(dropping));
  const anchor = loadTrustAnchor(config.trustAnchorFile);
  const clusters = newClusters(config.clusters);
  resources.defer(() => disconnectAll(clusters));
  const heldTokens = await openHeldTokens(config);
  const onKeysLost = (): void => {
    backingKeys.clear();
    if (hsm.installed === undefined) disconnectAll(clusters);
  };
  const hsm = await openHsm(config, { anchor, heldTokens: await heldTokens.all(), onKeysLost });
  warnOfSealKeyFile(config, log);
  await checkPublicIdentity(config, hsm, events);
  const publish = () => publishIdentity(config, hsm, events);
  await publish();

  const identityFile = identityFileOf(config);
  const durableHsm = new DurableHsm({ hsm, identityFile, heldTokens, publishIdentity: publish, events });
  await durableHsm.installHeld().catch((error: unknown) => events.tokenRefused('held-tokens', error));
  const signWhenDurable = (message: Uint8Array) => durableHsm.signWhenDurable(message);
  const { sessions, rsaKeyPairs } = startSessions(config, {
    hsm,
    signWhenDurable,
    backingKeys,
    clusters,
    events,
    resources,
  });
  const onProblem = (problem: unknown): void => events.noticesProblem(problem);
  const notices = resources.use(startNotices({ nats: config.nats, name: hsm.memberId, onProblem }));
  const peers = resources.use(startPeers(config.peerTls, reportOf(log)));
  const follower = resources.use(
    new TokenFollower({
      sources: config.domainManagers.map(({ text }) => newTokenSource(text, peers.credentials)),
      notices,
      generation: () => durableHsm.describe().generation,
      take: (tokens) => durableHsm.install(tokens),
      pollMs: () => config.pollEvery,
      onUnreachable: (address, error) => events.domainManagerUnreachable(address, error),
      onRefused: (address, error) => events.tokenRefused(address, error),
    }),
  );
  // Whoever was a scheduler when this member was stopped may have been removed since.
  await follower.firstLook(FIRST_LOOK_MS);
  const calls = new DomainCalls({ hsm, anchor, clock });
  const at = { address: config.grpc, health: config.health, drainMs: config.drain };
  resources.use(await startWorkerServer({ ...at, tls: peers.tls, sessions, hsm: durableHsm, calls, follower, events }));
  log.info({ memberId: hsm.memberId, grpc: config.grpc.text }, 'ready');
  void rsaKeyPairs.fill();
  await stopped;
}

function warnOfSealKeyFile({ sealKey, sealKeyFile }: WorkerConfig, log: Log): void {
  if (sealKey === undefined || sealKeyFile === undefined) return;
  log.warn(
    { sealKeyFile },
    'the PKCS#11 token seals the identity: take sealKeyFile from the configuration and destroy it',
  );
}
