import {
  connect,
  type ConnectionOptions,
  Events,
  type NatsConnection,
  type Status,
  type Subscription,
  tokenAuthenticator,
  usernamePasswordAuthenticator,
} from 'nats';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { boundNats } from './bounded-nats.ts';
import { ConfigError, filePath, readSecretFile } from './config.ts';
import { TlsConfig, TlsFiles } from './tls/tls-files.ts';
import { SayOnce } from './say-once.ts';
import { observeGauge } from './telemetry/meters.ts';

/**
 * Every notice there is. A notice only says "look": it carries no secret and no decision. Losing, repeating or
 * reordering one is harmless, and its receiver verifies what it finds. No stream keeps them. Strict, because JetStream
 * publishes its own answers to any subject that whoever asks it names.
 */
const notices = {
  /** A domain token of this generation was stored. */
  domainToken: { subject: 'keyfleet.domain.token', payload: z.strictObject({ generation: z.int().min(1) }) },
  /** A proposal was made or signed. */
  proposal: { subject: 'keyfleet.domain.proposal', payload: z.strictObject({}) },
} as const;

export type NoticeName = keyof typeof notices;
export type NoticePayload<N extends NoticeName> = z.output<(typeof notices)[N]['payload']>;

const RETRY_MS = 2_000;

// Whoever connects to NATS does it here.
boundNats();

/** The `nats` part of a service's configuration. */
export const NatsConfig = z.strictObject({
  servers: z.array(z.string()).min(1).describe('Such as `"nats://nats-1:4222"`.'),
  tokenFile: filePath().optional().describe('Its token.'),
  username: z.string().min(1).optional().describe('Of a NATS user, instead of a token.'),
  passwordFile: filePath().optional().describe("That user's password."),
  tls: TlsConfig.optional().describe('Mutual TLS; without it, connections to NATS are unencrypted.'),
});
export type NatsConfig = z.output<typeof NatsConfig>;

export interface NoticesOptions {
  /** Undefined for a service configured without NATS: its notices go nowhere, and it receives none. */
  readonly nats: NatsConfig | undefined;
  /** The client's name as NATS shows it. */
  readonly name: string;
  /** How many NATS servers keep a published message. Default: 1. */
  readonly streamReplicas?: number | undefined;
  /** Called once per problem. A NATS outage is never the caller's error. */
  readonly onProblem?: (problem: unknown) => void;
}

export interface Notices extends AsyncDisposable {
  /** Resolves to true if NATS took it. A failure is reported, not thrown: readers also look on their own. */
  publish<N extends NoticeName>(notice: N, payload: NoticePayload<N>): Promise<boolean>;
  /** Calls `look` for each notice, and after every connect, in case some were missed. */
  subscribe(notice: NoticeName, look: () => void): void;
  /** Undefined while NATS is unreachable. For uses other than notices: work queues. */
  connection(): NatsConnection | undefined;
  /** How many NATS servers keep a stream that this service creates. */
  readonly streamReplicas: number;
}

/** Connects in the background and retries forever: a service starts and runs without NATS. */
export function startNotices(options: NoticesOptions): Notices {
  const { nats, name, streamReplicas = 1, onProblem = () => {} } = options;
  if (nats === undefined) return noNotices;
  const settings = { servers: [...nats.servers], name, ...credentialsOf(nats), ...tlsOf(nats) };
  // The client reads the files on each connection; here they are read for what is wrong with them, and for their end.
  const files = nats.tls && new TlsFiles(nats.tls, { field: 'nats.tls', onProblem });
  return new NatsNotices(settings, { streamReplicas, files, onProblem });
}

/** Throws ConfigError: with half of a user, NATS would take the service for its default one. */
function credentialsOf({ tokenFile, username, passwordFile }: NatsConfig): ConnectionOptions {
  if (tokenFile !== undefined && (username ?? passwordFile) !== undefined)
    throw new ConfigError('nats.tokenFile: give a token or a user with a password, not both');
  if (username === undefined && passwordFile !== undefined)
    throw new ConfigError('nats.username: missing, and nats.passwordFile is its password');
  if (username !== undefined && passwordFile === undefined)
    throw new ConfigError(`nats.passwordFile: missing, for the user ${username}`);
  if (tokenFile !== undefined) return { authenticator: tokenAuthenticator(newestOf(tokenFile, 'nats.tokenFile')) };
  if (username === undefined || passwordFile === undefined) return {};
  // Answers go to subjects of this user alone, so it needs no permission for anyone else's (deploy/nats/users.conf).
  const inboxPrefix = `_INBOX.${username}`;
  const password = newestOf(passwordFile, 'nats.passwordFile');
  return { authenticator: usernamePasswordAuthenticator(username, password), inboxPrefix };
}

/** Reads the file for each connection, so that a secret can be changed. Throws ConfigError if it cannot at first. */
function newestOf(file: string, field: string): () => string {
  let secret = readSecretFile(file, field);
  return () => {
    try {
      secret = readSecretFile(file, field);
    } catch {
      // As while it is being replaced.
    }
    return secret;
  };
}

function tlsOf({ tls }: NatsConfig): ConnectionOptions {
  // A server names others, which need not be on this machine.
  if (tls === undefined) return { ignoreClusterUpdates: true };
  return { tls: { certFile: tls.certificateFile, keyFile: tls.keyFile, caFile: tls.caFile } };
}

/** Discards notices and never delivers any. */
export const noNotices: Notices = {
  publish: async () => true,
  subscribe() {},
  connection: () => undefined,
  streamReplicas: 1,
  async [Symbol.asyncDispose]() {},
};

interface NatsNoticesOptions {
  readonly streamReplicas: number;
  readonly files: TlsFiles | undefined;
  readonly onProblem: (problem: unknown) => void;
}

class NatsNotices implements Notices {
  readonly #settings: ConnectionOptions;
  readonly #onProblem: (problem: unknown) => void;
  readonly #stop = new AbortController();
  readonly #connection: Promise<NatsConnection | undefined>;
  /** What each subscriber does once there is a connection. */
  readonly #listening: ((connection: NatsConnection) => void)[] = [];
  readonly streamReplicas: number;
  readonly #files: TlsFiles | undefined;
  #connected: NatsConnection | undefined;
  #isReached = false;
  readonly #said = new SayOnce();

  constructor(settings: ConnectionOptions, { streamReplicas, files, onProblem }: NatsNoticesOptions) {
    this.#settings = settings;
    this.streamReplicas = streamReplicas;
    this.#files = files;
    this.#onProblem = onProblem;
    this.#connection = this.#connect();
    observeGauge('keyfleet.nats.up', () => Number(this.connection() !== undefined));
  }

  connection(): NatsConnection | undefined {
    return this.#isReached && this.#connected?.isClosed() === false ? this.#connected : undefined;
  }

  async publish<N extends NoticeName>(notice: N, payload: NoticePayload<N>): Promise<boolean> {
    const connection = this.connection();
    // The disconnection was reported when it happened.
    if (connection === undefined) return false;
    try {
      connection.publish(notices[notice].subject, JSON.stringify(payload));
      if (await Promise.race([connection.flush().then(() => true), delay(RETRY_MS, false, { ref: false })]))
        return true;
      throw new Error(`NATS did not answer within ${RETRY_MS} ms`);
    } catch (error) {
      this.#problem(error);
      return false;
    }
  }

  subscribe(notice: NoticeName, look: () => void): void {
    const { subject, payload } = notices[notice];
    const receive = (data: Uint8Array): void => {
      if (payload.safeParse(jsonOf(data)).success) look();
    };
    let subscription: Subscription | undefined;
    const listen = (connection: NatsConnection): void => {
      // A server that refuses it, as where its users are changed, ends it for good.
      if (subscription === undefined || subscription.isClosed())
        subscription = connection.subscribe(subject, { callback: (error, message) => error ?? receive(message.data) });
      look();
    };
    this.#listening.push(listen);
    void this.#connection.then((connection) => connection && listen(connection));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.#files?.[Symbol.dispose]();
    const connection = await this.#connection;
    await connection?.close();
  }

  async #connect(): Promise<NatsConnection | undefined> {
    const settings: ConnectionOptions = {
      ...this.#settings,
      timeout: RETRY_MS,
      maxReconnectAttempts: -1,
      // NATS may refuse us for a while, as when its users are changed first.
      ignoreAuthErrorAbort: true,
      reconnectTimeWait: RETRY_MS / 4,
    };
    while (!this.#stop.signal.aborted) {
      try {
        const connection = await connect(settings);
        this.#connected = connection;
        this.#isReached = true;
        void this.#followStatus(connection);
        return connection;
      } catch (error) {
        this.#problem(error);
        await delay(RETRY_MS / 4, undefined, { signal: this.#stop.signal }).catch(() => {});
      }
    }
    return undefined;
  }

  async #followStatus(connection: NatsConnection): Promise<void> {
    for await (const status of connection.status()) {
      if (status.type === Events.Disconnect) {
        this.#isReached = false;
        this.#problem(new Error('NATS disconnected'));
      }
      if (status.type === Events.Reconnect) {
        this.#isReached = true;
        this.#said.over('NATS');
        for (const listen of this.#listening) listen(connection);
      }
      // Such as that this user may not say it: nothing else answers a notice.
      if (status.type === Events.Error) this.#problem(new Error(refusalIn(status)));
    }
  }

  #problem(problem: unknown): void {
    if (!this.#stop.signal.aborted && this.#said.isNew('NATS', problem)) this.#onProblem(problem);
  }
}

function refusalIn({ data, permissionContext }: Status): string {
  const about = permissionContext === undefined ? [] : [permissionContext.operation, permissionContext.subject];
  return ['NATS:', typeof data === 'string' ? data : 'an error', ...about].join(' ');
}

function jsonOf(data: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(data).toString('utf8'));
  } catch {
    return undefined;
  }
}
