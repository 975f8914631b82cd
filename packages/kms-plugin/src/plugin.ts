import { type ChannelCredentials, credentials as plainCredentials, Server } from '@grpc/grpc-js';
import { createKmsClient, type Credentials } from '@keyfleet/client';
import { listenPrivately } from '@keyfleet/client/private-socket';
import { KeyManagementService } from '@keyfleet/proto/kubernetes';
import { type Clock, monotonicClock, systemClock } from '@keyfleet/shared/clock';
import { channelCredentials } from '@keyfleet/shared/grpc/credentials';
import { reportOf } from '@keyfleet/shared/grpc/peers';
import type { Log } from '@keyfleet/shared/log';
import { SayOnce } from '@keyfleet/shared/say-once';
import { ClientTlsFiles } from '@keyfleet/shared/tls/tls-files';
import { ClusterKey } from './cluster-key.ts';
import type { PluginConfig } from './config.ts';
import { CredentialsFile } from './credentials-file.ts';
import { type Health, KeyHealth } from './health.ts';
import { type Kms, renewingKms } from './renewing-kms.ts';
import { kmsPluginService } from './service.ts';
import { claimSocket } from './socket.ts';
import { WebIdentityCredentials } from './web-identity.ts';

/** A ciphertext of 1 KiB, a key id of 1 KiB, annotations of 32 KiB (KMS v2 API), and their encoding. */
const MAX_REQUEST = 40 * 1024;
/** For kube-apiserver's calls in progress at the stop: each takes at most two calls to Keyfleet. */
const DRAIN_MS = 5_000;

/** Serves kube-apiserver on the configured socket until disposed. Throws ConfigError. */
export async function startPlugin(config: PluginConfig, log: Log): Promise<AsyncDisposable> {
  await using resources = new AsyncDisposableStack();
  const { caFile } = config.tls ?? {};
  const files = caFile === undefined ? {} : { caFile };
  const trusted = resources.use(new ClientTlsFiles(files, { field: 'tls', onProblem: reportOf(log) }));
  const { credentials, wrap } = credentialsOf(config, () => trusted.content.ca, log);
  const { keyId, region, encryptionContext, timeout: timeoutMs } = config;
  const kms = createKmsClient({
    address: config.grpc.text,
    credentials,
    region,
    timeoutMs,
    channel: channelOf(config, trusted),
  });
  resources.use(kms);
  const key = new ClusterKey({ kms: wrap(kms), keyId, encryptionContext });
  const health = new KeyHealth({ key, clock: monotonicClock, onChange: (now) => noteHealth(log, now) });

  await claimSocket(config.socket);
  const server = new Server({ 'grpc.max_receive_message_length': MAX_REQUEST, 'grpc.enable_channelz': 0 });
  const onFailure = (failure: object): void => log.warn(failure, 'a request from kube-apiserver failed');
  server.addService(KeyManagementService.service, kmsPluginService({ key, health, onFailure }) as never);
  await listenPrivately(server, config.socket);
  resources.defer(() => drain(server));
  // Logs any problem before kube-apiserver asks.
  void health.now();
  return resources.move();
}

function channelOf({ tls }: PluginConfig, trusted: ClientTlsFiles): ChannelCredentials {
  if (tls === undefined) return plainCredentials.createInsecure();
  return tls.caFile === undefined ? plainCredentials.createSsl() : channelCredentials(trusted);
}

function noteHealth(log: Log, { healthz, keyId }: Health): void {
  if (healthz === 'ok') log.info({ keyId }, 'the key encrypts and decrypts');
  else log.error({ keyId, problem: healthz }, 'the key cannot be used');
}

interface PluginCredentials {
  readonly credentials: () => Promise<Credentials>;
  /** Has a client that calls with them do what they need. */
  readonly wrap: (kms: Kms) => Kms;
}

function credentialsOf(config: PluginConfig, ca: () => string | undefined, log: Log): PluginCredentials {
  const said = new SayOnce();
  const onProblem = (err: unknown): void => {
    if (said.isNew('credentials', err)) log.warn({ err }, 'no new credentials; those from before are used');
  };
  if (config.credentialsFile !== undefined) {
    const file = new CredentialsFile(config.credentialsFile, onProblem);
    return { credentials: () => Promise.resolve(file.current()), wrap: (kms) => kms };
  }
  const clock: Clock = systemClock;
  const options = { clock, ca, timeoutMs: config.timeout, onProblem };
  const sessions = new WebIdentityCredentials(config.webIdentity!, options);
  return { credentials: () => sessions.current(), wrap: (kms) => renewingKms(kms, sessions) };
}

async function drain(server: Server): Promise<void> {
  const cut = setTimeout(() => server.forceShutdown(), DRAIN_MS);
  await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
  clearTimeout(cut);
}
