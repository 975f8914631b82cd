import { hash, type KeyObject } from 'node:crypto';
import { type Clock, monotonicClock } from '@keyfleet/shared/clock';
import type { Scope } from '@keyfleet/shared/stored/names';
import {
  amzDateOf,
  authorizationOf,
  type CredentialScope,
  deriveSigningKey,
  newSigningSecret,
} from '@keyfleet/shared/sigv4';
import type { z } from 'zod';
import type { HsmCommands } from '../hsm/commands.ts';
import { principalOfStore, type XksProxy } from '../key-stores/key-store.ts';
import { Breakers } from './breaker.ts';
import type { XksAnswer, XksHosts } from './hosts.ts';
import { problemsByName, XksError } from './problems.ts';
import { DecryptAnswer, EncryptAnswer, ErrorAnswer, HealthAnswer, MetadataAnswer, XKS_SERVICE } from './wire.ts';

/** A custom key store's proxy, as calls address it. */
export interface ProxyOf extends Scope {
  readonly storeId: string;
  readonly xks: XksProxy;
}

/** What a call tells the proxy about the request behind it. */
export interface Purpose {
  /** The KMS operation. */
  readonly operation: string;
  readonly requestId: string;
  /** ARN. */
  readonly principal: string;
  /** ARN of the KMS key; absent in CreateKey, where there is none yet. */
  readonly keyArn?: string;
  /** Milliseconds since the epoch. */
  readonly deadline: number;
}

const answers = { health: HealthAnswer, metadata: MetadataAnswer, encrypt: EncryptAnswer, decrypt: DecryptAnswer };
type Api = keyof typeof answers;

export interface XksProxiesDeps {
  readonly hosts: Pick<XksHosts, 'call'>;
  readonly hsm: Pick<HsmCommands, 'execute'>;
  readonly clock: Clock;
}

/**
 * Calls the proxies of external key stores. Each store has its own breaker, so one that hangs costs the others nothing.
 */
export class XksProxies {
  readonly #deps: XksProxiesDeps;
  readonly #breakers = new Breakers(monotonicClock);
  /** By the proxy object in the record that was read. Each is good for one day, and the secret is not kept. */
  #signingKeys = new WeakMap<XksProxy, SigningKeyOfDay>();

  constructor(deps: XksProxiesDeps) {
    this.#deps = deps;
  }

  /** Throws XksError unless the proxy accepts our credential and has a working HSM. */
  async checkHealth(proxy: ProxyOf, { operation, requestId, deadline }: Omit<Purpose, 'principal'>): Promise<void> {
    const metadata = { kmsRequestId: requestId, kmsOperation: operation };
    const call = { path: `${proxy.xks.uriPath}/health`, requestMetadata: metadata, deadline };
    const { ekmFleetDetails } = await this.#ask(proxy, 'health', call);
    if (ekmFleetDetails.every(({ healthStatus }) => healthStatus === 'UNAVAILABLE')) {
      throw new XksError('hsms-unavailable');
    }
  }

  /** Throws XksError unless the external key is an enabled AES-256 key that encrypts and decrypts. */
  async checkKey(proxy: ProxyOf, externalKeyId: string, purpose: Purpose): Promise<void> {
    const answer = await this.#ask(proxy, 'metadata', callOf(proxy, externalKeyId, 'metadata', purpose));
    if (answer.keyStatus !== 'ENABLED') throw new XksError('key-disabled');
    const isUsable = ['ENCRYPT', 'DECRYPT'].every((usage) => answer.keyUsage.includes(usage));
    if (answer.keySpec !== 'AES_256' || !isUsable) throw new XksError('key-usage');
  }

  /** Throws XksError. The answer is well-formed; the caller checks whether it is what was asked for. */
  use<A extends 'encrypt' | 'decrypt'>(
    proxy: ProxyOf,
    api: A,
    { externalKeyId, members, purpose }: { externalKeyId: string; members: object; purpose: Purpose },
  ): Promise<z.output<(typeof answers)[A]>> {
    return this.#ask(proxy, api, { ...callOf(proxy, externalKeyId, api, purpose), ...members });
  }

  async #ask<A extends Api>(proxy: ProxyOf, api: A, { path, deadline, ...members }: AskedCall) {
    const body = Buffer.from(JSON.stringify(members));
    const amzDate = amzDateOf(this.#deps.clock.now());
    const scope = { date: amzDate.slice(0, 8), region: proxy.region, service: XKS_SERVICE };
    const signingKey = await this.#signingKeyOf(proxy, scope, deadline);
    const signer = { accessKeyId: proxy.xks.accessKeyId, scope, signingKey };
    const breaker = this.#breakers.of(principalOfStore(proxy));
    // In the turn in which the call begins: many may have waited for the key.
    const { refusal } = breaker;
    if (refusal !== undefined) throw new XksError(refusal === 'busy' ? 'throttled' : 'timed-out');
    const answer = await breaker.run(() => this.#send(proxy, { path, body, amzDate, signer }), isAway);
    try {
      return parseAnswer(answers[api], answer) as z.output<(typeof answers)[A]>;
    } catch (error) {
      // One member alone says what the secret is, and may lie.
      if (error instanceof XksError && error.problem === 'not-authenticated') this.#signingKeys.delete(proxy.xks);
      throw error;
    }
  }

  #send({ xks }: ProxyOf, { path, body, amzDate, signer }: Sent): Promise<XksAnswer> {
    const host = new URL(xks.uriEndpoint).host;
    const signed = { host, 'x-amz-date': amzDate };
    const payloadHash = hash('sha256', body, 'hex');
    const request = { method: 'POST', path, query: '', headers: new Map(Object.entries(signed)), payloadHash };
    const authorization = authorizationOf(request, amzDate, signer);
    const headers = {
      ...signed,
      authorization,
      'content-type': 'application/json',
      'content-length': `${body.length}`,
    };
    return this.#deps.hosts.call({ host, path, headers, body });
  }

  #signingKeyOf(proxy: ProxyOf, scope: CredentialScope, deadline: number): Promise<KeyObject> {
    const known = this.#signingKeys.get(proxy.xks);
    if (known?.date === scope.date) return known.key;
    const key = this.#openSigningKey(proxy, scope, deadline);
    this.#signingKeys.set(proxy.xks, { date: scope.date, key });
    key.catch(() => this.#signingKeys.delete(proxy.xks));
    return key;
  }

  /** As `Credentials.forgetSigningKeys`. */
  forgetSigningKeys(): void {
    this.#signingKeys = new WeakMap();
  }

  async #openSigningKey(proxy: ProxyOf, scope: CredentialScope, deadline: number): Promise<KeyObject> {
    const { accessKeyId, token } = proxy.xks;
    const sealed = { accessKeyId, principal: principalOfStore(proxy), token };
    const { secretAccessKey } = await this.#deps.hsm.execute('OpenCredential', sealed, deadline);
    const secret = newSigningSecret(secretAccessKey);
    try {
      return deriveSigningKey(secret, scope);
    } finally {
      for (const bytes of [secret, secretAccessKey]) bytes.fill(0);
    }
  }
}

interface SigningKeyOfDay {
  /** YYYYMMDD. */
  readonly date: string;
  readonly key: Promise<KeyObject>;
}

interface Sent {
  readonly path: string;
  readonly body: Buffer;
  readonly amzDate: string;
  readonly signer: Parameters<typeof authorizationOf>[2];
}

interface AskedCall {
  readonly path: string;
  readonly deadline: number;
  readonly [member: string]: unknown;
}

function callOf({ xks }: ProxyOf, externalKeyId: string, api: Api, purpose: Purpose): AskedCall {
  const { operation, requestId, principal, keyArn, deadline } = purpose;
  const requestMetadata = {
    awsPrincipalArn: principal,
    ...(keyArn !== undefined && { kmsKeyArn: keyArn }),
    kmsOperation: operation,
    kmsRequestId: requestId,
  };
  return { path: `${xks.uriPath}/keys/${externalKeyId}/${api}`, requestMetadata, deadline };
}

function isAway(error: unknown): boolean {
  return error instanceof XksError && ['unreachable', 'tls', 'timed-out'].includes(error.problem);
}

function parseAnswer<S extends z.ZodType>(schema: S, { status, body }: XksAnswer): z.output<S> {
  const json = parseJson(body);
  if (status === 200) {
    const answer = schema.safeParse(json);
    if (answer.success) return answer.data;
    throw new XksError('invalid-response', { cause: answer.error });
  }
  const named = ErrorAnswer.safeParse(json);
  const { errorName = '' } = named.data ?? {};
  const problem = Object.hasOwn(problemsByName, errorName) ? problemsByName[errorName]! : 'invalid-response';
  throw new XksError(problem);
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}
