import { urlToHttpOptions } from 'node:url';
import type { Credentials } from '@keyfleet/client';
import type { Clock } from '@keyfleet/shared/clock';
import { readPublicFile } from '@keyfleet/shared/config';
import { exchange } from '@keyfleet/shared/http-exchange';
import { SingleFlight } from '@keyfleet/shared/single-flight';
import type { WebIdentity } from './config.ts';

export interface WebIdentityOptions {
  readonly clock: Clock;
  /** PEM, as it is now; undefined: what Node.js trusts. */
  readonly ca: () => string | undefined;
  readonly timeoutMs: number;
  /** A session cannot be renewed; the present one remains in use until it expires. */
  readonly onProblem: (problem: unknown) => void;
}

export interface Session {
  readonly credentials: Credentials;
  /** Milliseconds since the epoch. */
  readonly renewAt: number;
  readonly expiresAt: number;
}

const SESSION_NAME = 'kms-plugin';
/** The maximum size of an STS answer: a session token has at most 5 KiB. */
const MAX_ANSWER = 32_768;
/** For how long nobody asks an STS that failed: the API server calls many times a second. */
const PAUSE_MS = 5_000;

/**
 * Temporary credentials for the token in a file, by AssumeRoleWithWebIdentity; renewed at half of their lifetime, or
 * when Keyfleet refuses them. No call waits for STS while there is a session that is not refused.
 */
export class WebIdentityCredentials {
  readonly #config: WebIdentity;
  readonly #options: WebIdentityOptions;
  readonly #renewal = new SingleFlight<Session>();
  #session: Session | undefined;
  #refused: Session | undefined;
  #pauseUntil = 0;

  /** Throws ConfigError if there is no token. */
  constructor(config: WebIdentity, options: WebIdentityOptions) {
    this.#config = config;
    this.#options = options;
    readPublicFile(config.tokenFile, 'webIdentity.tokenFile');
  }

  get session(): Session | undefined {
    return this.#session;
  }

  /** Has the next call ask for another session, unless there is one already. */
  replace(refused: Session | undefined): void {
    if (refused === this.#session) this.#refused = refused;
  }

  async current(): Promise<Credentials> {
    const session = this.#session;
    const now = this.#options.clock.now();
    if (session === undefined || now >= session.expiresAt) return (await this.#renewed()).credentials;
    const isRefused = session === this.#refused;
    if (now < this.#pauseUntil || (now < session.renewAt && !isRefused)) return session.credentials;
    const renewed = this.#renewed().catch((problem: unknown) => {
      this.#options.onProblem(problem);
      return session;
    });
    return isRefused ? (await renewed).credentials : session.credentials;
  }

  #renewed(): Promise<Session> {
    return this.#renewal.run(async () => {
      try {
        return (this.#session = await this.#assumeRole());
      } catch (problem) {
        this.#pauseUntil = this.#options.clock.now() + PAUSE_MS;
        throw problem;
      }
    });
  }

  async #assumeRole(): Promise<Session> {
    const { roleArn, tokenFile, stsUrl } = this.#config;
    const form = new URLSearchParams({
      Action: 'AssumeRoleWithWebIdentity',
      Version: '2011-06-15',
      RoleArn: roleArn,
      RoleSessionName: SESSION_NAME,
      WebIdentityToken: readPublicFile(tokenFile, 'webIdentity.tokenFile').trim(),
    });
    const { status, body } = await post(stsUrl, form.toString(), this.#options);
    const element = (name: string): string => new RegExp(`<${name}>([^<]*)</${name}>`).exec(body)?.[1] ?? '';
    if (status !== 200) {
      const answer = `${element('Code') || status}: ${element('Message')}`;
      throw new Error(`the role ${roleArn} cannot be assumed: STS answers ${answer}`);
    }
    const now = this.#options.clock.now();
    const expiresAt = Date.parse(element('Expiration'));
    const credentials = {
      accessKeyId: element('AccessKeyId'),
      secretAccessKey: element('SecretAccessKey'),
      sessionToken: element('SessionToken'),
    };
    if (Object.values(credentials).includes('') || !(expiresAt > now)) throw new Error('STS answers no credentials');
    return { credentials, expiresAt, renewAt: (now + expiresAt) / 2 };
  }
}

/** May be sent twice: each answer is a session of its own. */
async function post(
  url: string,
  form: string,
  { ca: trusted, timeoutMs }: WebIdentityOptions,
): Promise<{ readonly status: number; readonly body: string }> {
  const ca = trusted();
  const headers = { 'content-type': 'application/x-www-form-urlencoded', 'content-length': Buffer.byteLength(form) };
  const how = { method: 'POST', headers, signal: AbortSignal.timeout(timeoutMs), ...(ca !== undefined && { ca }) };
  try {
    const options = { ...urlToHttpOptions(new URL(url)), ...how };
    const { status, body } = await exchange(options, { body: form, maxAnswer: MAX_ANSWER });
    return { status, body: body.toString('utf8') };
  } catch (cause) {
    throw new Error(`STS at ${url} is not reached: ${(cause as Error).message}`, { cause });
  }
}
