import {
  connect,
  type ConnectionOptions,
  Events,
  type NatsConnection,
  StorageType,
  tokenAuthenticator,
  usernamePasswordAuthenticator,
} from 'nats';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { boundNats } from './bounded-nats.ts';
import { ConfigError, filePath, readSecretFile } from './config.ts';
import { TlsConfig, TlsFiles } from './tls/tls-files.ts';
import { SayOnce } from './say-once.ts';
import { assertStream, isNotFound } from './streams.ts';
import { observeGauge } from './telemetry/meters.ts';

/**
 * Every notice there is. A notice only says "look": it carries no secret and no decision. Losing, repeating or
 * reordering one is harmless, and its receiver verifies what it finds. Strict, because JetStream publishes its own
 * answers to any subject that whoever asks it names.
 */
const notices = {
  /** A domain token of this generation was stored. */
  domainToken: { subject: 'keyfleet.domain.token', payload: z.strictObject({ generation: z.int().min(1) }) },
  /** A proposal was made or signed. */
  proposal: { subject: 'keyfleet.domain.proposal', payload: z.strictObject({}) },
} as const;

export type NoticeName = keyof typeof notices;
export type NoticePayload<N extends NoticeName> = z.output<(typeof notices)[N]['payload']>;

const STREAM = 'KEYFLEET_DOMAIN';
const SUBJECTS = 'keyfleet.domain.>';
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
  /** Resolves to true if JetStream stored it. A failure is reported, not thrown: readers also look on their own. */
  publish<N extends NoticeName>(notice: N, payload: NoticePayload<N>): Promise<boolean>;
  /** Calls `look` for each notice, and with the newest one after every connect, in case some were missed. */
  subscribe<N extends NoticeName>(notice: N, look: (payload: NoticePayload<N>) => void): void;
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
  readonly #looks: (() => Promise<void>)[] = [];
  readonly streamReplicas: number;
  readonly #files: TlsFiles | undefined;
  #connected: NatsConnection | undefined;
  #isReached = false;
  #hasStream = false;
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
      if (!this.#hasStream) await this.#assertStream(connection);
      await connection.jetstream().publish(notices[notice].subject, JSON.stringify(payload), { timeout: RETRY_MS });
      return true;
    } catch (error) {
      // If NATS lost its data, the stream may be gone: it is created again for the next notice.
      this.#hasStream = false;
      this.#problem(error);
      return false;
    }
  }

  subscribe<N extends NoticeName>(notice: N, look: (payload: NoticePayload<N>) => void): void {
    const { subject, payload } = notices[notice];
    const receive = (data: Uint8Array): void => {
      const parsed = payload.safeParse(jsonOf(data));
      if (parsed.success) look(parsed.data as NoticePayload<N>);
    };
    const lookAtNewest = async (): Promise<void> => {
      try {
        const manager = await (await this.#connection)?.jetstreamManager();
        const newest = await manager?.streams.getMessage(STREAM, { last_by_subj: subject });
        if (newest !== undefined && newest !== null) receive(newest.data);
      } catch (error) {
        if (!isNotFound(error)) this.#problem(error);
      }
    };
    this.#looks.push(lookAtNewest);
    void this.#connection.then(async (connection) => {
      connection?.subscribe(subject, { callback: (error, message) => error ?? receive(message.data) });
      await lookAtNewest();
    });
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

  /** Keeps only the newest notice of each subject, which is all that a reader who was away needs. */
  async #assertStream(connection: NatsConnection): Promise<void> {
    const stream = { name: STREAM, subjects: [SUBJECTS], max_msgs_per_subject: 1, storage: StorageType.File };
    await assertStream(connection, { ...stream, num_replicas: this.streamReplicas });
    this.#hasStream = true;
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
        this.#hasStream = false;
        for (const look of this.#looks) void look();
      }
    }
  }

  #problem(problem: unknown): void {
    if (!this.#stop.signal.aborted && this.#said.isNew('NATS', problem)) this.#onProblem(problem);
  }
}

function jsonOf(data: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(data).toString('utf8'));
  } catch {
    return undefined;
  }
}
