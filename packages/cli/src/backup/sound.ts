import { recordKeyNumberOf } from '@keyfleet/frontend/store/record-key';
import { accessKeyIdOf, domainKeyIdOf } from '@keyfleet/shared/hsm/exported-key-token';
import { isFleetSecretOf } from '@keyfleet/shared/hsm/fleet-secret';
import { isStoreId } from '@keyfleet/shared/redis/store-id';
import { dueDateOf, dueEntryOf } from '@keyfleet/shared/stored/due-entries';
import { keyOfGrants, ListedGrant } from '@keyfleet/shared/stored/grants';
import { iamFieldOf, type IamKind, iamLinksOf } from '@keyfleet/shared/stored/iam';
import { firstAccessKeyIn, keyAt, type StoredKind, storedNameOf, storedValues } from '@keyfleet/shared/stored/names';
import { z } from 'zod';
import { AliasRecord, KeyRecord } from '../list-entries.ts';
import type { Piece } from './format.ts';
import { readPieces } from './reader.ts';
import { SoundTokens, type TokenChains } from './sound-tokens.ts';

const Usage = z.object({ usedAt: z.int() });
const SomeRecord = z.record(z.string(), z.unknown());

/**
 * Beside the store's identity. These count anew: what somebody set would outlive him. (Earlier releases kept a check
 * beside the token.)
 */
const COUNT_ANEW = new Set(['mark', 'restoredAt', 'follows', 'acceptedAt', 'acceptedBy', 'signature', 'check']);

/** Undefined for anything else. */
export function parseRecord<T>(schema: z.ZodType<T>, text: string | undefined): T | undefined {
  try {
    return schema.parse(JSON.parse(text ?? ''));
  } catch {
    return undefined;
  }
}

/** Its entry among the keys that are due. */
export function dueEntryIn(key: z.output<typeof KeyRecord>): string | undefined {
  const date = dueDateOf(key);
  return date === undefined ? undefined : dueEntryOf(key, date);
}

/**
 * The pieces of a backup that are restored, without anything that has no place there, whoever put it into Redis before
 * the backup: what is unknown, of another type or too long, and what is no record of its place. What stands beside a
 * record without a MAC is made again from it. `leftOut` is told of the others. `chains`: the same for each pass over
 * the same backup.
 */
export async function* soundPieces(
  path: string,
  chains: TokenChains,
  leftOut: (what: string) => void = () => {},
): AsyncGenerator<Piece> {
  const tokens = new SoundTokens(chains, leftOut);
  const accounts = new Accounts();
  for await (const piece of readPieces(path)) {
    const kind = storedNameOf(piece.name)?.kind;
    // Short-lived, and in backups of earlier releases only.
    if (kind !== undefined && storedValues[kind].role !== 'kept') continue;
    const problem = problemOf(piece, kind);
    if (problem !== undefined) leftOut(`${piece.name} (${problem})`);
    else if (piece.type === 'list') {
      const sound = await tokens.soundOf(piece);
      if (sound !== undefined) yield sound;
    } else for (const sound of soundValue(piece, kind!, leftOut)) if (!accounts.keepsBack(sound)) yield sound;
  }
  yield* accounts.firstAccessKeys(leftOut);
}

function* soundValue(
  piece: Exclude<Piece, { type: 'list' }>,
  kind: StoredKind,
  leftOut: (what: string) => void,
): Generator<Exclude<Piece, { type: 'list' }>> {
  if (piece.type === 'string') yield piece;
  else yield* soundFields(piece, kind, leftOut);
}

/**
 * The accounts of which there is a record. The bare id of an account's first access key has no MAC, so it is restored
 * only for these: as many as somebody liked would otherwise outlive him.
 */
class Accounts {
  readonly #known = new Set<string>();
  readonly #waiting = new Map<string, Piece>();

  /** Whether the piece waits for the rest of the backup. */
  keepsBack(piece: Exclude<Piece, { type: 'list' }>): boolean {
    const { kind, tag } = storedNameOf(piece.name)!;
    if (kind === 'iam') this.#known.add(tag);
    if (piece.type !== 'string') return false;
    const text = bytesOf(piece.value).toString();
    const account = kind === 'accessKey' ? parseRecord(SomeRecord, text)?.['accountId'] : undefined;
    if (typeof account === 'string') this.#known.add(account);
    const isBare = kind === 'firstAccessKey' && firstAccessKeyIn(text).record === undefined;
    if (isBare) this.#waiting.set(piece.name, piece);
    return isBare;
  }

  *firstAccessKeys(leftOut: (what: string) => void): Generator<Piece> {
    for (const [name, piece] of this.#waiting) {
      if (this.#known.has(storedNameOf(name)!.tag)) yield piece;
      else leftOut(`${name} (there is no access key and no IAM record of the account)`);
    }
  }
}

function problemOf(piece: Piece, kind: StoredKind | undefined): string | undefined {
  if (kind === undefined) return 'unknown to this release';
  const { type, maxBytes } = storedValues[kind];
  if (piece.type !== type) return `a ${piece.type}, and not a ${type}`;
  if (piece.type !== 'string') return undefined;
  const bytes = bytesOf(piece.value);
  if (bytes.length > maxBytes) return tooLong(bytes);
  return isString(kind, bytes, piece.name) ? undefined : NOT_ITS_RECORD;
}

const NOT_ITS_RECORD = 'not a record of this place';

function isString(kind: StoredKind, bytes: Buffer, name: string): boolean {
  if (kind === 'secret') return isRecordKey(storedNameOf(name)!.tag, bytes);
  const text = bytes.toString();
  if (kind === 'firstAccessKey') return isFirstAccessKey(text);
  if (kind === 'recordKeys') return /^[1-9]\d{0,8}$/.test(text);
  const isRecord = kind === 'accessKey' || kind === 'accessKeyUse' || kind === 'keyStores';
  return !isRecord || parseRecord(SomeRecord, text) !== undefined;
}

/** An id, or the claim of whoever makes it. */
function isFirstAccessKey(text: string): boolean {
  const { accessKeyId, record } = firstAccessKeyIn(text);
  return (
    /^[A-Z0-9]{1,128}$/.test(accessKeyId) && (record === undefined || parseRecord(SomeRecord, record) !== undefined)
  );
}

/** As far as its header says; nothing else is a secret of its own by now. Only a member can open it. */
function isRecordKey(name: string, bytes: Buffer): boolean {
  const isItsOwn = parsed(() => domainKeyIdOf(bytes) !== '' && isFleetSecretOf(name, accessKeyIdOf(bytes)));
  return recordKeyNumberOf(name) !== undefined && isItsOwn === true;
}

function* soundFields(
  piece: Extract<Piece, { type: 'hash' }>,
  kind: StoredKind,
  leftOut: (what: string) => void,
): Generator<Extract<Piece, { type: 'hash' }>> {
  const { name } = piece;
  const { maxBytes } = storedValues[kind];
  const sound = new Map<string, Buffer | string>();
  for (const [field, text] of Object.entries(piece.value)) {
    const bytes = bytesOf(text);
    const isLong = bytes.length > maxBytes || Buffer.byteLength(field) > maxBytes;
    const made = isLong ? undefined : madeOf(kind, { name, field, bytes });
    if (made === undefined) leftOut(`${name} ${field.slice(0, 300)} (${isLong ? tooLong(bytes) : NOT_ITS_RECORD})`);
    for (const [one, value] of Object.entries(made ?? {})) sound.set(one, value);
  }
  if (sound.size === 0) return;
  const value = Object.fromEntries([...sound].map(([field, bytes]) => [field, Buffer.from(bytes).toString('base64')]));
  yield { ...piece, value };
}

interface StoredField {
  readonly name: string;
  readonly field: string;
  readonly bytes: Buffer;
}

/** The field, with what is made from it; undefined for one that has no place there. */
function madeOf(kind: StoredKind, { name, field, bytes }: StoredField): Record<string, Buffer | string> | undefined {
  const text = bytes.toString();
  const itself = { [field]: bytes };
  switch (kind) {
    case 'key':
      return madeOfKey(name, field, text);
    case 'aliases':
      return parseRecord(AliasRecord, text) && itself;
    case 'iam':
      return isIamRecord(field, text) ? itself : undefined;
    case 'grants':
      return isGrant(name, field, text) ? itself : undefined;
    case 'store':
      if (COUNT_ANEW.has(field)) return {};
      return field === 'id' && isStoreId(text) ? itself : undefined;
    default:
      return undefined;
  }
}

/** Of what stands beside a record without a MAC, a number or a date of somebody's choice would outlive him. */
function madeOfKey(name: string, field: string, text: string): Record<string, Buffer | string> | undefined {
  switch (field) {
    case 'record': {
      const key = parseRecord(KeyRecord, text);
      if (key === undefined || keyAt(key.region, key.keyId) !== name) return undefined;
      return { record: text, revision: String(key.revision), due: dueEntryIn(key) ?? '' };
    }
    case 'lastUsage': {
      const usage = parseRecord(Usage, text);
      return usage && { lastUsage: text, usedAt: String(usage.usedAt) };
    }
    default:
      return ['revision', 'due', 'usedAt'].includes(field) ? {} : undefined;
  }
}

function isIamRecord(field: string, text: string): boolean {
  const record = parseRecord(z.object({ kind: z.string(), name: z.string() }), text);
  return record !== undefined && iamFieldOf(record.kind as IamKind, record.name) === field && hasIamLinks(text);
}

function hasIamLinks(text: string): boolean {
  return parses(() => iamLinksOf(JSON.parse(text)));
}

function isGrant(name: string, field: string, text: string): boolean {
  const grant = parseRecord(ListedGrant, text);
  const key = keyOfGrants(name);
  return grant?.grantId === field && grant.keyId === key?.keyId && grant.region === key.region;
}

function parses(parse: () => unknown): boolean {
  return parsed(parse) !== undefined;
}

function parsed<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch {
    return undefined;
  }
}

function tooLong({ length }: Buffer): string {
  return `${length} bytes, too long`;
}

function bytesOf(base64: string): Buffer {
  return Buffer.from(base64, 'base64');
}
