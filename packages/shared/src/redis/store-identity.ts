import { randomUUID } from 'node:crypto';
import type { Signer } from '../domain/proposal.ts';
import { storeAt, tokensAt } from '../stored/names.ts';
import type { RedisClient, RedisCommands } from './connect.ts';
import { isOfOtherType, readShortFields } from './stored-values.ts';
import { type AcceptanceSignature, MAX_FOLLOWED, signAcceptance } from './store-acceptance.ts';
import { isStoreId, STORE_ID_SCRIPT } from './store-id.ts';

/** A store's own statements. They lie beside the domain's tokens: what is true of one is true of the other. */
export interface StoreIdentity extends AcceptanceSignature {
  /** Random, made when the domain was founded or operators accepted the store; `''` in a store without one. */
  readonly id: string;
  /** Something else that is short stands in its place. */
  readonly hasOtherId: boolean;
  /** The stores that this one succeeds, by the operators' decision, which an operator signed. */
  readonly follows: readonly string[];
  /** When that was; 0 if nobody did. */
  readonly acceptedAt: number;
  /** Counts up with writes: an older copy of the store has a lower one. */
  readonly mark: number;
  /** The number of domain tokens in it. */
  readonly generation: number;
  /** Something else stands in the place of their list. */
  readonly hasNoList: boolean;
}

const FIELDS = ['id', 'follows', 'mark', 'acceptedAt', 'acceptedBy', 'signature'] as const;
/** `follows` is the longest: MAX_FOLLOWED ids of 36 characters and the commas between them, 591. */
const MAX_BYTES = 1024;

/** Every frontend and domain-manager reads it each second, and anyone who reaches Redis may have written it. */
export async function readStoreIdentity(client: RedisClient, domain: string): Promise<StoreIdentity> {
  const [found, length] = await Promise.all([
    readShortFields(client, storeAt(domain), { maxBytes: MAX_BYTES, fields: FIELDS }),
    client.llen(tokensAt(domain)).catch(undefinedIfNoList),
  ]);
  const textOf = (field: (typeof FIELDS)[number]): string => found.get(field) ?? '';
  const id = isStoreId(textOf('id')) ? textOf('id') : '';
  return {
    id,
    hasOtherId: id === '' && found.has('id'),
    follows: idsOf(textOf('follows')),
    mark: countOf(textOf('mark')),
    acceptedAt: countOf(textOf('acceptedAt')),
    generation: length ?? 0,
    hasNoList: length === undefined,
    acceptedBy: textOf('acceptedBy'),
    signature: textOf('signature'),
  };
}

/**
 * KEYS: store. ARGV: id, the ids that it follows, the id that it must have, when, the operator, the signature. 0:
 * somebody else changed it. The mark counts anew, since there may be anything in its place.
 */
const ACCEPT = `${STORE_ID_SCRIPT}
if storeId(KEYS[1]) ~= ARGV[3] then return 0 end
if redis.call('TYPE', KEYS[1]).ok ~= 'hash' then redis.call('UNLINK', KEYS[1]) end
redis.call('HSET', KEYS[1], 'id', ARGV[1], 'follows', ARGV[2], 'mark', '0')
redis.call('HSET', KEYS[1], 'acceptedAt', ARGV[4], 'acceptedBy', ARGV[5], 'signature', ARGV[6])
return 1`;

/** The greatest that is read. */
const MAX_MARK = '999999999999999';

/**
 * KEYS: store. ARGV: the id that it must have. The greatest mark stays: one that somebody set to just below it would
 * otherwise be no count at a moment of his choice, and below all that services know. What is no count begins anew.
 */
const RAISE_MARK = `${STORE_ID_SCRIPT}
if storeId(KEYS[1]) ~= ARGV[1] then return 0 end
local isShort = redis.call('HSTRLEN', KEYS[1], 'mark') <= ${MAX_MARK.length}
local mark = isShort and redis.call('HGET', KEYS[1], 'mark') or '0'
if mark == '${MAX_MARK}' then return ${MAX_MARK} end
if not isShort or not (mark == '0' or string.find(mark, '^[1-9]%d*$')) then redis.call('HSET', KEYS[1], 'mark', '0') end
return redis.call('HINCRBY', KEYS[1], 'mark', 1)`;

export interface Acceptance {
  /** As it was read. */
  readonly present: Pick<StoreIdentity, 'id' | 'follows'>;
  /** A store that the present one, as from a backup that is older, does not know. */
  readonly inPlaceOf?: string | undefined;
  readonly acceptedAt: number;
  readonly signer: Signer;
}

/**
 * Gives the store a new identity that succeeds its present one and `inPlaceOf`: services that knew one of these accept
 * it as theirs.
 */
export function acceptStore(
  client: RedisCommands,
  domain: string,
  { present, inPlaceOf = '', acceptedAt, signer }: Acceptance,
): unknown {
  const known = [...present.follows, present.id].filter((one) => one !== inPlaceOf);
  const follows = [...known, inPlaceOf].filter((one) => one !== '').slice(-MAX_FOLLOWED);
  const id = randomUUID();
  const { acceptedBy, signature } = signAcceptance({ domain, id, follows, acceptedAt }, signer);
  const signed = [acceptedAt, acceptedBy, signature];
  return client.eval(ACCEPT, 1, storeAt(domain), id, follows.join(','), present.id, ...signed);
}

/** KEYS: store. ARGV: id. */
const GIVE_IDENTITY = `${STORE_ID_SCRIPT}
giveStoreId(KEYS[1], ARGV[1])`;

/** For a store from before stores had one, or with something else in its place. */
export function giveIdentity(client: RedisCommands, domain: string): unknown {
  return client.eval(GIVE_IDENTITY, 1, storeAt(domain), randomUUID());
}

/** Returns the new mark, or 0 if it is another store. */
export function raiseMark(client: RedisCommands, domain: string, id: string): unknown {
  return client.eval(RAISE_MARK, 1, storeAt(domain), id);
}

/** 0 for what is no count, which is below every mark and before every date. */
function countOf(text: string): number {
  return /^\d{1,15}$/.test(text) ? Number(text) : 0;
}

/** What is no list holds no token: a look that failed would find nothing wrong. */
function undefinedIfNoList(error: unknown): undefined {
  if (!isOfOtherType(error)) throw error;
}

function idsOf(text: string): readonly string[] {
  return text.split(',').filter(isStoreId);
}
