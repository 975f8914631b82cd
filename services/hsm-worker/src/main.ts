import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { systemClock } from '@keyfleet/shared/clock';
import { ConfigError, readSecretFile } from '@keyfleet/shared/config';
import { DomainError } from '@keyfleet/shared/domain/domain-error';
import type { TrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import { startNotices } from '@keyfleet/shared/notices';
import { TokenFollower } from '@keyfleet/shared/token-follower';
import { newTokenSource } from '@keyfleet/proto/token-source';
import { runService, type ServiceContext } from '@keyfleet/shared/service';
import { loadTrustAnchor } from '@keyfleet/shared/trust-anchor-file';
import { handlers } from './boundary/commands/handlers.ts';
import { NobleThread } from './boundary/crypto/noble-thread.ts';
import { newNonceSource } from './boundary/crypto/random.ts';
import { Hsm } from './boundary/hsm.ts';
import { BackingKeyCache } from './boundary/keys/backing-key-cache.ts';
import { RsaKeyPool } from './boundary/keys/rsa-key-pool.ts';
import { newSealKey, type SealKey, sealKeyLength } from './boundary/seal-key.ts';
import { SessionService } from './boundary/session-service.ts';
import { WorkerConfig } from './config.ts';
import { DomainCalls } from './domain-calls.ts';
import { WorkerEvents } from './events.ts';
import { readIfThere, writeDurably } from '@keyfleet/shared/durable-file';
import { DomainMembership } from './membership.ts';
import { commandObserver } from './observe-commands.ts';
import { startWorkerServer } from './server.ts';

await runService({ name: 'hsm-worker', config: WorkerConfig, run });

async function run(config: WorkerConfig, { log, stopped }: ServiceContext): Promise<void> {
  const clock = systemClock;
  const identityFile = join(config.dataDir, 'identity');
  const events = new WorkerEvents(log, () => follower.look());
  const backingKeys = new BackingKeyCache({
    clock,
    maxBytes: config.backingKeyCache.maxBytes,
    maxAgeMs: config.backingKeyCache.maxAge,
  });
  const anchor = loadTrustAnchor(config.trustAnchorFile);
  const hsm = await startHsm(config, { anchor, identityFile, onKeysLost: () => backingKeys.clear() });
  const publishIdentity = () => writePublicIdentity(config, hsm);
  await publishIdentity();

  using rsaKeyPairs = new RsaKeyPool(config.rsaKeyPool);
  await using noble = new NobleThread();
  const { nats, memberId: name } = config;
  await using notices = startNotices({ nats, name, onProblem: (problem) => events.noticesProblem(problem) });
  const membership = new DomainMembership({ hsm, identityFile, publishIdentity, events });
  await using follower = new TokenFollower({
    sources: config.domainManagers.map(({ text }) => newTokenSource(text)),
    notices,
    generation: () => membership.describe().generation,
    take: (tokens) => membership.install(tokens),
    pollMs: () => config.pollEvery,
    onUnreachable: (address, error) => events.domainManagerUnreachable(address, error),
    onRefused: (address, error) => events.tokenRefused(address, error),
  });
  const nonce = newNonceSource();
  const sessions = new SessionService({
    member: hsm,
    handlers,
    observer: commandObserver(),
    context: () => {
      const keyring = hsm.keyring();
      return keyring && { keyring, backingKeys, rsaKeyPairs, noble, clock, random: randomBytes, nonce };
    },
    clock,
    random: randomBytes,
    maxInFlight: config.maxInFlight,
    events,
  });
  const calls = new DomainCalls({ hsm, anchor, clock });
  await using _server = await startWorkerServer({
    address: config.grpc,
    sessions,
    membership,
    calls,
    events,
    drainMs: config.drain,
  });
  log.info({ memberId: hsm.memberId, grpc: config.grpc.text }, 'ready');
  void rsaKeyPairs.fill();
  await stopped;
}

/** A file that is there is opened or the start fails: a new identity in its place would no longer be the member. */
async function startHsm(
  config: WorkerConfig,
  { anchor, identityFile, onKeysLost }: { anchor: TrustAnchor; identityFile: string; onKeysLost: () => void },
): Promise<Hsm> {
  const sealedIdentity = await readIfThere(identityFile);
  const options = {
    memberId: config.memberId,
    anchor,
    sealKey: sealKeyOf(config.sealKeyFile),
    clock: systemClock,
    random: randomBytes,
    onKeysLost,
  };
  try {
    const hsm = new Hsm(sealedIdentity === undefined ? options : { ...options, sealedIdentity });
    if (sealedIdentity === undefined) await writeDurably(identityFile, hsm.sealedIdentity());
    return hsm;
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    const advice = 'Restore the file or the seal key; to give this member up, move the file away.';
    throw new ConfigError(`the identity ${identityFile} is not usable: ${error.message}. ${advice}`, { cause: error });
  }
}

/** What the ceremony needs of this worker. */
async function writePublicIdentity({ dataDir }: WorkerConfig, hsm: Hsm): Promise<void> {
  const { memberId, signingKey, agreementKey, encapsulationKey } = hsm.describe();
  const text = (key: Uint8Array): string => Buffer.from(key).toString('base64');
  const identity = {
    memberId,
    signingKey: text(signingKey),
    agreementKey: text(agreementKey),
    ...(encapsulationKey && { encapsulationKey: text(encapsulationKey) }),
  };
  await writeDurably(join(dataDir, 'identity.pub.json'), Buffer.from(`${JSON.stringify(identity, undefined, 2)}\n`));
}

/** The file: 32 bytes in base64. */
function sealKeyOf(path: string): SealKey {
  const text = readSecretFile(path, 'sealKeyFile');
  const key = Buffer.from(text, 'base64');
  if (key.length !== sealKeyLength || key.toString('base64') !== text) {
    throw new ConfigError(`sealKeyFile: ${path} must hold ${sealKeyLength} random bytes in base64.`);
  }
  try {
    return newSealKey(key, randomBytes);
  } finally {
    key.fill(0);
  }
}
