import type { Clock } from '@keyfleet/shared/clock';
import type { Operator } from '@keyfleet/shared/domain/state';
import type { RedisClient, RedisCommands } from '@keyfleet/shared/redis/connect';
import type { DurableWrites } from '@keyfleet/shared/redis/durable-writes';
import { isProposalId } from '@keyfleet/shared/domain/proposal';
import {
  isOfOtherType,
  readEachElement,
  readShortFieldBytes,
  readShortFields,
  readString,
  unlessDamaged,
} from '@keyfleet/shared/redis/stored-values';
import { randomUUID } from 'node:crypto';
import { PROGRESS_BYTES, reportField, RESEAL_SHARDS, shardReportOf } from '@keyfleet/shared/reseal-queue';
import {
  confirmedAt,
  leaseAt,
  proposalAt,
  proposalsAt,
  resealProgressAt,
  sightingAt,
  signedAt,
  storeAt,
  storedValues,
  tokensAt,
} from '@keyfleet/shared/stored/names';
import { z } from 'zod';
import { DATE_SIGNATURE, DROP_PROPOSAL, PUT_PROPOSAL, SET_OUTCOME } from './proposal-scripts.ts';
import { progressOf } from './reseal-progress.ts';
import {
  type DomainStore,
  markOf,
  type ResealProgress,
  type Signature,
  type SignatureDate,
  type StoredProposal,
} from './store.ts';
import { APPEND_TOKEN, REPLACE_TOKEN, RESTORE_TOKEN } from './token-scripts.ts';

// Scripts, because Redis runs each one atomically: of two replicas that write at once, one comes first and the other
// loses.

/** KEYS: lease. ARGV: holder, ttl. No replica of ours wrote what lasts longer than a lease, or is no text. */
const HOLD_LEASE = `
local left = redis.call('PTTL', KEYS[1])
if left > 0 and left <= tonumber(ARGV[2]) and redis.call('TYPE', KEYS[1]).ok == 'string' then
  if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`;

/** KEYS: lease. ARGV: holder. */
const RELEASE_LEASE = `
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('UNLINK', KEYS[1]) end`;

/**
 * KEYS: progress. ARGV: pass, shards, startedAt, ttl, what was resealed in earlier passes. Whoever once wrote there may
 * have left reports of passes to come: they go.
 */
const START_PASS = `
if tonumber(redis.call('HGET', KEYS[1], 'pass') or '0') ~= tonumber(ARGV[1]) - 1 then return 0 end
local verifiedAt = redis.call('HSTRLEN', KEYS[1], 'verifiedAt') <= 15 and redis.call('HGET', KEYS[1], 'verifiedAt')
redis.call('UNLINK', KEYS[1])
redis.call('HSET', KEYS[1], 'pass', ARGV[1], 'shards', ARGV[2], 'startedAt', ARGV[3], 'resealed', ARGV[5])
if verifiedAt then redis.call('HSET', KEYS[1], 'verifiedAt', verifiedAt) end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1`;

const count = z
  .string()
  .regex(/^\d{1,15}$/)
  .transform(Number);

/** A pass as it began. */
const Begun = z.object({
  pass: count.pipe(z.int().min(1)),
  shards: count.pipe(z.int().min(1).max(RESEAL_SHARDS)),
  startedAt: count,
  verifiedAt: count.optional(),
  /** In earlier passes. Absent from a pass that an earlier release began. */
  resealed: count.default(0),
});

/** It has done its work as soon as it exists. */
const CONFIRMED_MS = 10_000;
const SIGNATURE = 'signature:';
/** Of a proposal, beside its command and the signatures. */
const OUTCOME = ['expiresAt', 'failure', 'done'] as const;
/** Of a signature, a date, or why a proposal failed. */
const PROPOSAL_FIELD_BYTES = 8192;
/** Of three bytes each at most. */
const FAILURE_CHARACTERS = 2000;
/** Long after the generation has been replaced. */
const PROGRESS_TTL_MS = 400 * 24 * 3_600_000;

export interface RedisStoreOptions {
  readonly domain: string;
  /** The id of the store that this service knows; '' if it knows none. */
  readonly storeId: () => string;
  /** Whose signatures of a proposal are read. */
  readonly operators: () => readonly Pick<Operator, 'operatorId'>[];
  /** Progress of resealing stood under this name and could not be read: it begins anew. */
  readonly onDropped?: (name: string) => void;
}

/** Everything of a domain has one hash tag, so that scripts work on a Redis Cluster too. */
export class RedisStore implements DomainStore {
  readonly #writes: DurableWrites;
  readonly #redis: RedisClient;
  readonly #clock: Clock;
  readonly #domain: string;
  readonly #storeId: () => string;
  readonly #operators: RedisStoreOptions['operators'];
  readonly #onDropped: (name: string) => void;

  constructor(
    writes: DurableWrites,
    clock: Clock,
    { domain, storeId, operators, onDropped = () => {} }: RedisStoreOptions,
  ) {
    this.#storeId = storeId;
    this.#operators = operators;
    this.#onDropped = onDropped;
    this.#writes = writes;
    this.#redis = writes.client;
    this.#clock = clock;
    this.#domain = domain;
  }

  async loadTokens(after: number, limit: number): Promise<Buffer[]> {
    const found = await readEachElement(this.#redis, tokensAt(this.#domain), after, after + limit - 1);
    return found.map((token) => (Buffer.isBuffer(token) ? token : Buffer.of()));
  }

  async findToken(generation: number): Promise<Buffer | undefined> {
    const found = await this.loadTokens(generation - 1, 1).catch((error: unknown) => unlessDamaged(error));
    return found?.[0];
  }

  async appendToken(generation: number, token: Uint8Array): Promise<boolean> {
    return this.#writeToken(APPEND_TOKEN, generation, Buffer.from(token), randomUUID());
  }

  async restoreToken(generation: number, token: Uint8Array): Promise<boolean> {
    return this.#writeToken(RESTORE_TOKEN, generation, Buffer.from(token), this.#storeId());
  }

  async replaceToken(generation: number, found: Uint8Array, token: Uint8Array): Promise<boolean> {
    return this.#writeToken(REPLACE_TOKEN, generation, Buffer.from(token), this.#storeId(), Buffer.from(found));
  }

  async #writeToken(script: string, generation: number, ...args: readonly (string | Buffer)[]): Promise<boolean> {
    const keys = this.#tokenKeys;
    const write = (client: RedisCommands) => client.eval(script, keys.length, ...keys, String(generation), ...args);
    return (await this.#writes.write(keys[0], write)) === 1;
  }

  get #tokenKeys(): readonly [string, string] {
    return [tokensAt(this.#domain), storeAt(this.#domain)];
  }

  /** Replicas receive writes in order: once one made now has arrived, everything read before has too. */
  async confirmTokens(): Promise<void> {
    const key = confirmedAt(this.#domain);
    await this.#writes.write(key, (client) => client.set(key, String(this.#clock.now()), 'PX', CONFIRMED_MS));
  }

  async putProposal(proposal: StoredProposal, limit: number): Promise<boolean> {
    const { proposalId, command, expiresAt, signatures } = proposal;
    const keys = [proposalsAt(this.#domain), proposalAt(this.#domain, proposalId)];
    const signed = signatures.flatMap(({ operatorId, signature }) => [operatorId, Buffer.from(signature)]);
    const numbers = [expiresAt, limit].map(String);
    const values = [proposalId, Buffer.from(command), ...numbers, ...signed];
    const put = (client: RedisCommands) => client.eval(PUT_PROPOSAL, keys.length, ...keys, ...values);
    return (await this.#writes.write(keys[0]!, put)) === 1;
  }

  async dateSignature(proposalId: string, signature: Signature, until: number): Promise<SignatureDate> {
    const key = signedAt(this.#domain, signature.operatorId);
    const mark = markOf(proposalId, signature);
    const numbers = [until, storedValues.signed.maxBytes, PROGRESS_TTL_MS].map(String);
    const date = (client: RedisCommands) => client.eval(DATE_SIGNATURE, 1, key, mark, ...numbers);
    const [kept, isOver] = z.tuple([z.string(), z.number()]).parse(await this.#writes.write(key, date));
    return { until: Number(kept), isOver: isOver === 1 };
  }

  async findProposal(proposalId: string): Promise<StoredProposal | undefined> {
    // A frontend's user may write under names that begin like a proposal's, if it is none (deploy/redis/users.acl).
    if (!isProposalId(proposalId)) return undefined;
    const name = proposalAt(this.#domain, proposalId);
    const { maxBytes } = storedValues.proposal;
    const signers = new Map(this.#operators().map(({ operatorId }) => [`${SIGNATURE}${operatorId}`, operatorId]));
    const others = { maxBytes: PROPOSAL_FIELD_BYTES, fields: [...OUTCOME, ...signers.keys()] };
    const [found, fields] = await Promise.all([
      readShortFieldBytes(this.#redis, name, { maxBytes, fields: ['command'] }),
      readShortFieldBytes(this.#redis, name, others),
    ]);
    const command = found.get('command');
    if (command === undefined) return undefined;
    const signatures: Signature[] = [...signers].flatMap(([field, operatorId]) => {
      const signature = fields.get(field);
      return signature === undefined ? [] : [{ operatorId, signature }];
    });
    const [expiresAt, failure, done] = OUTCOME.map((field) => fields.get(field)?.toString());
    return {
      proposalId,
      command,
      signatures,
      expiresAt: Number(expiresAt),
      ...(failure === undefined ? {} : { failure }),
      ...(done === undefined ? {} : { done: true }),
    };
  }

  async listProposalIds(): Promise<string[]> {
    const ids = this.#redis.zrangebyscore(proposalsAt(this.#domain), '-inf', '+inf');
    return (await ids.catch(noneIfOfOtherType)) ?? [];
  }

  async listProposals(): Promise<StoredProposal[]> {
    const ids = await this.listProposalIds();
    const proposals = await Promise.all(ids.map((proposalId) => this.findProposal(proposalId)));
    return proposals.filter((proposal) => proposal !== undefined);
  }

  async dropProposal(proposalId: string): Promise<void> {
    const keys = [proposalsAt(this.#domain), proposalAt(this.#domain, proposalId)];
    await this.#redis.eval(DROP_PROPOSAL, keys.length, ...keys, proposalId);
  }

  async setFailure(proposalId: string, reason: string): Promise<void> {
    const failure = reason.slice(0, FAILURE_CHARACTERS);
    await this.#redis.eval(SET_OUTCOME, 1, proposalAt(this.#domain, proposalId), 'failure', failure);
  }

  async setDone(proposalId: string): Promise<void> {
    await this.#redis.eval(SET_OUTCOME, 1, proposalAt(this.#domain, proposalId), 'done', '1');
  }

  async holdLease(holder: string, ttlMs: number): Promise<boolean> {
    return (await this.#redis.eval(HOLD_LEASE, 1, leaseAt(this.#domain), holder, String(ttlMs))) === 1;
  }

  async releaseLease(holder: string): Promise<void> {
    await this.#redis.eval(RELEASE_LEASE, 1, leaseAt(this.#domain), holder);
  }

  async findLeaseHolder(): Promise<string | undefined> {
    const holder = await readString(this.#redis, leaseAt(this.#domain)).catch((error: unknown) => unlessDamaged(error));
    return holder?.toString();
  }

  async findReseal(generation: number): Promise<ResealProgress | undefined> {
    const begun = await this.#readProgress(generation, Object.keys(Begun.shape));
    const parsed = Begun.safeParse(Object.fromEntries(begun));
    if (!parsed.success) return undefined;
    const { pass, shards } = parsed.data;
    const fields = Array.from({ length: shards }, (_, shard) => reportField({ pass, shard }));
    const stored = [...(await this.#readProgress(generation, fields))];
    const reports = stored.map(([field, report]) => [field, shardReportOf(report)] as const);
    return progressOf({ ...parsed.data, reports: new Map(reports) });
  }

  /** Frontends write there, former ones perhaps too. */
  #readProgress(generation: number, fields: readonly string[]): Promise<ReadonlyMap<string, string>> {
    return readShortFields(this.#redis, this.#progressAt(generation), { maxBytes: PROGRESS_BYTES, fields });
  }

  async findSighting(generation: number): Promise<Buffer | undefined> {
    return readString(this.#redis, sightingAt(this.#domain, generation)).catch((error: unknown) =>
      unlessDamaged(error),
    );
  }

  async putSighting(generation: number, sighting: Uint8Array): Promise<void> {
    await this.#redis.set(sightingAt(this.#domain, generation), Buffer.from(sighting), 'PX', PROGRESS_TTL_MS);
  }

  async startPass(
    generation: number,
    { pass, shards, startedAt }: Pick<ResealProgress, 'pass' | 'shards' | 'startedAt'>,
  ): Promise<void> {
    const name = this.#progressAt(generation);
    const before = await this.findReseal(generation);
    // What cannot be read would keep every pass from beginning.
    if (before === undefined && (await this.#redis.unlink(name)) > 0) this.#onDropped(name);
    const values = [pass, shards, startedAt, PROGRESS_TTL_MS, before?.resealed ?? 0].map(String);
    await this.#redis.eval(START_PASS, 1, name, ...values);
  }

  async setVerified(generation: number, at: number): Promise<void> {
    await this.#redis.hset(this.#progressAt(generation), 'verifiedAt', String(at));
  }

  #progressAt(generation: number): string {
    return resealProgressAt(this.#domain, generation);
  }
}

/** No service of ours put it there. */
function noneIfOfOtherType(error: unknown): undefined {
  if (!isOfOtherType(error)) throw error;
}
