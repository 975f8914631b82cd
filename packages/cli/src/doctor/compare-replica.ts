import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { RECORDS_AT_ONCE } from '@keyfleet/shared/redis/stored-values';
import { setTimeout as delay } from 'node:timers/promises';
import type { Piece } from '../backup/format.ts';
import { membersOf, readMembers, readPieces } from '../backup/redis-pieces.ts';
import { isDerived, isKept } from '../backup/stages.ts';
import { CliError } from '../cli-error.ts';
import { pagesOfAllNames } from '../redis-option.ts';

/** One is enough for the remedy. */
export const MOST_DIFFERENCES = 20;
/** What a master changes again and again it sends again and again: its replica has that soon, whatever it had. */
const LOOKS = 5;
const CATCHES_UP_WITHIN_MS = 10_000;
const ASKS_EVERY_MS = 20;

type Values = readonly (Buffer | null)[];
interface Pair {
  readonly replica: RedisClient;
  readonly master: RedisClient;
}

/**
 * What a replica has, of that which backups contain, and its master has not, or the other way round: names and fields.
 * What is merely late, or changes meanwhile, is none of it. Throws CliError if the replica does not catch up.
 */
export async function differencesOf(
  replica: RedisClient,
  master: RedisClient,
  compared: (count: number) => void,
): Promise<string[]> {
  const found = new Map<string, string>();
  let count = 0;
  // What was put there on its way is under no name yet.
  await caughtUp(replica, master);
  for (const from of [replica, master]) {
    for await (const page of pagesOfAllNames(from)) {
      const names = page.filter((name) => isKept(name) && !isDerived(name));
      for (let i = 0; i < names.length; i += RECORDS_AT_ONCE) {
        const some = names.slice(i, i + RECORDS_AT_ONCE);
        await Promise.all(some.map((name) => compareValue(name, from, { replica, master, found })));
        if (found.size >= MOST_DIFFERENCES) return [...found.values()].slice(0, MOST_DIFFERENCES);
        compared((count += some.length));
      }
    }
  }
  return [...found.values()];
}

async function compareValue(
  name: string,
  from: RedisClient,
  { found, ...pair }: Pair & { readonly found: Map<string, string> },
): Promise<void> {
  const other = from === pair.replica ? pair.master : pair.replica;
  // What no service stores there nobody reads: if it is in the place of something, the master has that.
  for await (const piece of readPieces(from, name, () => {})) {
    const members = membersOf(piece);
    const there = await readMembers(other, piece);
    const suspects = members.flatMap(([, text], i) => (there[i]?.toString('base64') === text ? [] : [i]));
    for (const { member, difference } of await lookAgain(piece, suspects, pair))
      found.set(`${name} ${member}`, `${difference} ${[name, member].join(' ').trimEnd()}`);
    if (found.size >= MOST_DIFFERENCES) return;
  }
}

/** Those of `suspects` that a replica has otherwise, although it has all that its master wrote. */
async function lookAgain(
  piece: Piece,
  suspects: readonly number[],
  { replica, master }: Pair,
): Promise<{ member: string; difference: string }[]> {
  const members = membersOf(piece);
  const different = [];
  for (let [look, open] = [0, suspects]; look < LOOKS && open.length > 0; look++) {
    const before = await readMembers(master, piece);
    await caughtUp(replica, master);
    const there = await readMembers(replica, piece);
    const after = await readMembers(master, piece);
    const wrong = open.filter((i) => !isSame(there, before, i) && !isSame(there, after, i));
    const settled = wrong.filter((i) => isSame(before, after, i));
    different.push(...settled.map((i) => ({ member: members[i]![0], difference: differenceOf(there[i], after[i]) })));
    open = wrong.filter((i) => !settled.includes(i));
  }
  return different;
}

function isSame(a: Values, b: Values, i: number): boolean {
  const [one, other] = [a[i] ?? undefined, b[i] ?? undefined];
  return one === undefined || other === undefined ? one === other : one.equals(other);
}

function differenceOf(there: Buffer | null | undefined, ofMaster: Buffer | null | undefined): string {
  if (!ofMaster) return 'it alone has';
  return there ? 'it has another' : 'it lacks';
}

/** Resolves when the replica has everything that its master has written by now. */
async function caughtUp(replica: RedisClient, master: RedisClient): Promise<void> {
  const written = await offsetOf(master, 'master_repl_offset');
  const end = performance.now() + CATCHES_UP_WITHIN_MS;
  for (;;) {
    const behind = written - (await offsetOf(replica, 'slave_repl_offset'));
    if (behind <= 0) return;
    if (performance.now() > end) throw new CliError(`it is ${behind} bytes behind its master: run this again`);
    await delay(ASKS_EVERY_MS);
  }
}

async function offsetOf(node: RedisClient, field: string): Promise<number> {
  return Number(new RegExp(`^${field}:(\\d+)`, 'm').exec(await node.info('replication'))?.[1] ?? 0);
}
