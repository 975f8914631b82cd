import { systemClock } from '@keyfleet/shared/clock';
import { ConfigError, readSecretFile } from '@keyfleet/shared/config';
import type { DomainCommand, Signer } from '@keyfleet/shared/domain/proposal';
import { type DueItem, dueQueue } from '@keyfleet/shared/due-queue';
import { startNotices } from '@keyfleet/shared/notices';
import { publishResealItems, type ResealItem } from '@keyfleet/shared/reseal-queue';
import { connectRedis } from '@keyfleet/shared/redis/connect';
import { DurabilityWatch } from '@keyfleet/shared/redis/durability-watch';
import { DurableWrites } from '@keyfleet/shared/redis/durable-writes';
import { StoreGuard } from '@keyfleet/shared/redis/store-guard';
import { waitForRedis } from '@keyfleet/shared/redis/wait-for-redis';
import { runService, type ServiceContext } from '@keyfleet/shared/service';
import { loadTrustAnchor } from '@keyfleet/shared/trust-anchor-file';
import { createPrivateKey, randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { DomainManagerConfig } from './config.ts';
import { DueWork } from './due-work.ts';
import { waitsFor } from './execute.ts';
import { startGrpcWorker } from './grpc-worker.ts';
import { Leader } from './leader.ts';
import { surveyWorkers } from './membership.ts';
import { observeDomain } from './metrics.ts';
import { Proposals } from './proposals.ts';
import { Resealing } from './reseal.ts';
import { Round } from './round.ts';
import { mayAlone } from './rotation.ts';
import { startServer } from './server.ts';
import { statusOf } from './status.ts';
import { RedisStore } from './store/redis-store.ts';
import { type Head, TokenLog } from './token-log.ts';
import { assertOthersOpen } from './witness.ts';

await runService({ name: 'domain-manager', config: DomainManagerConfig, run });

async function run(config: DomainManagerConfig, { log, signal, stopped }: ServiceContext): Promise<void> {
  await using resources = new AsyncDisposableStack();
  const anchor = loadTrustAnchor(config.trustAnchorFile);
  const scheduler = loadScheduler(config.schedulerKey);
  const rotateEveryMs = config.rotation.every;
  const replica = `${hostname()}/${randomUUID().slice(0, 8)}`;
  const clock = systemClock;

  const redis = resources.use(
    connectRedis(config.redis, { onProblem: (problem) => log.warn({ err: problem }, 'Redis cannot be reached') }),
  );
  const onRefused = (refusal: Error): void => log.error({ err: refusal }, 'Redis refused');
  const durability = resources.use(new DurabilityWatch(redis, config.redis.durability, onRefused));
  if (!(await waitForRedis(redis, durability, signal))) return;
  const notices = resources.use(
    startNotices({
      nats: config.nats,
      name: `domain-manager ${replica}`,
      onProblem: (problem) => log.warn({ err: problem }, 'NATS cannot be reached'),
    }),
  );
  const caller = { domain: anchor.domain, scheduler };
  const workers = config.hsmWorkers.map(({ text }) => resources.use(startGrpcWorker(text, caller)));

  const writes = new DurableWrites(redis, () => durability.current());
  const guard = resources.use(
    new StoreGuard({
      domain: anchor.domain,
      clients: [redis],
      writes,
      // Lost tokens are stored again, if it is the same store.
      generation: () => 0,
      keepsWrites: config.redis.durability === 'strict',
      givesIdentity: true,
      onRefused,
      onAccepted: () => log.warn('the store was accepted in place of the one before'),
    }),
  );
  const store = new RedisStore(writes, clock, { domain: anchor.domain, storeId: () => guard.id });
  const onRestored = (from: number, to: number): void =>
    log.error({ from, to }, 'the store had lost domain tokens; this replica held them and has stored them again');
  const tokens = new TokenLog({ store, anchor, clock, onRestored });
  const proposals = new Proposals({ store, tokens, anchor, clock });
  const publish = (items: readonly ResealItem[], attempt: number) => publishResealItems(notices, items, attempt);
  const resealing = new Resealing({ store, clock, publish });
  const dueWork = new DueWork({
    clock,
    everyMs: config.dueWork.every,
    publish: (items: readonly DueItem[], period) =>
      dueQueue.publish(notices, items, ({ shard }) => `${period}/${shard}`),
  });
  const round = new Round({
    tokens,
    store,
    proposals,
    resealing,
    dueWork,
    workers,
    notices,
    clock,
    log,
    scheduler,
    rotateEveryMs,
  });
  observeDomain({ tokens, resealing, round, clock });
  const leadRound = async (): Promise<void> => {
    await guard.assertOurs(redis);
    await round.run();
    // What a round may have written counts as written, so that an older store is noticed here too.
    guard.wrote();
  };
  const leader = resources.use(new Leader({ lease: store, replica, round: leadRound, log }));
  notices.subscribe('proposal', () => leader.wake());

  const status = async () => {
    await tokens.refresh();
    const leads = await store.findLeaseHolder();
    const views = leads === replica ? round.views : await surveyWorkers(workers, tokens.head);
    const state = tokens.head?.state;
    const rotation = state && mayAlone(scheduler, 'RotateDomainKeys', state) ? rotateEveryMs : undefined;
    const reseal = state && (await resealing.find(state));
    return statusOf({
      domain: anchor.domain,
      tokens,
      views,
      replica,
      leader: leads,
      rotateEveryMs: rotation,
      reseal,
      natsConnected: notices.connection() !== undefined,
      storeProblem: guard.problem ?? '',
    });
  };
  const onChange = (): void => {
    leader.wake();
    void notices.publish('proposal', {});
  };
  const waits = (command: DomainCommand) => waitsFor(command, { views: round.views, tokens });
  const confirm = async (next: Head): Promise<void> =>
    assertOthersOpen(next, { views: await surveyWorkers(workers, tokens.head), log });
  const isServing = (): boolean => redis.status === 'ready' && guard.problem === undefined;
  const serving = { tokens, proposals, status, confirm, waitsFor: waits, isServing, onChange, log };
  resources.use(await startServer(config, serving));
  log.info({ grpc: config.grpc.text, replica, domain: anchor.domain }, 'ready');
  await stopped;
}

function loadScheduler({ operatorId, file }: DomainManagerConfig['schedulerKey']): Signer {
  const pem = readSecretFile(file, 'schedulerKey.file');
  try {
    return { operatorId, privateKey: createPrivateKey(pem) };
  } catch (cause) {
    throw new ConfigError(
      `schedulerKey.file: ${file} is not a PEM private key. Make one with: keyfleet operator create-key --role scheduler`,
      { cause },
    );
  }
}
