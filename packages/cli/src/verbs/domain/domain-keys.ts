import { CliError } from '../../cli-error.ts';
import type { MadeRecordKey } from '@keyfleet/frontend/store/record-key';
import { hostOf, type HostOptions } from '../../doctor/check-material.ts';
import { openNewestRecordKey } from '../../doctor/check-record-key.ts';
import { judgedRecordKey } from '../../doctor/record-key.ts';
import { verb } from '../../verb.ts';
import { listOf, openDomain } from '../../options.ts';
import { Progress } from '../../progress.ts';
import { changeOptions, proposalText, proposeChange } from '../../propose.ts';
import { openRedis, redisOptions } from '../../redis-option.ts';
import { type Census, countTokens, damagedText } from '../../sealed-census.ts';
import { storedNumbers } from '../../record-key-numbers.ts';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
import {
  activeDomainKey,
  type DomainKeyInfo,
  type DomainState,
  droppableAt,
  newestAfterRemoval,
} from '@keyfleet/shared/domain/state';

export const rotate = verb({
  description: 'Make a new domain key now, and reseal everything under it.',
  args: changeOptions,
  run: (args, terminal) => proposeChange(args, terminal, () => ({ name: 'RotateDomainKeys', body: {} })),
  text: proposalText,
});

const ids = {
  type: 'positional',
  description: 'Domain key ids or unique prefixes, comma-separated.',
  required: true,
} as const;

export const retire = verb({
  description:
    'Propose to retire old domain keys, so that they open nothing. After a removal the domain-manager does this itself.',
  args: { ids, ...changeOptions },
  run: (args, terminal) =>
    proposeChange(args, terminal, (state) => ({ name: 'RetireDomainKeys', body: { ids: keysOf(state, args.ids) } })),
  text: proposalText,
});

export const reinstate = verb({
  description: 'Propose to reinstate retired domain keys, for a restored backup that needs them.',
  args: { ids, ...changeOptions },
  run: (args, terminal) =>
    proposeChange(args, terminal, (state) => ({ name: 'ReinstateDomainKeys', body: { ids: keysOf(state, args.ids) } })),
  text: proposalText,
});

const ALL_OLD = 'all-old';

export const drop = verb({
  description: 'Propose to erase old domain keys from all members. Whatever they seal, in backups too, is lost.',
  args: {
    ids: { ...ids, description: `${ids.description} ${ALL_OLD}: all that may be dropped.` },
    ...changeOptions,
    ...redisOptions,
    host: {
      type: 'string',
      description: 'To drop the key of a removal: the operator id of a frontend.',
      valueHint: 'ID',
    },
    'host-key': { type: 'string', description: 'With --host: the key file of that frontend.', valueHint: 'FILE' },
  },
  async run(args, terminal) {
    await using redis = await openRedis(args);
    const openRecordKey = async (options: HostOptions) => {
      using domain = openDomain(args);
      return await openNewestRecordKey(redis, hostOf(options), domain);
    };
    const census = await countTokens(redis, new Progress(terminal));
    return await proposeChange(args, terminal, async (state) => {
      const dropped = args.ids === ALL_OLD ? droppableOf(state) : keysOf(state, args.ids);
      assertNothingUnder(dropped, census);
      assertResealed(state, census);
      await assertOneRecordKey(redis);
      await assertForgetsNoRemoval(state, dropped, () => openRecordKey(args));
      return { name: 'DropDomainKeys', body: { ids: dropped } };
    });
  },
  text: proposalText,
});

/** Throws CliError also if something cannot be read: it may be under any of them. */
function assertNothingUnder(domainKeys: readonly string[], { byDomainKey, damaged }: Census): void {
  const needed = domainKeys.find((id) => byDomainKey.has(id));
  if (needed !== undefined) {
    throw new CliError(
      `${byDomainKey.get(needed)} tokens in Redis are sealed under domain key ${needed}, and would be lost. See: keyfleet domain status`,
    );
  }
  if (damaged.length > 0) throw new CliError(`${damagedText(damaged)} first, or what they hold may be lost.`);
}

/** A pass that is under way reads what is stored under older domain keys, and writes it later. */
function assertResealed(state: DomainState, { byDomainKey }: Census): void {
  const { id: active } = activeDomainKey(state);
  const left = [...byDomainKey].reduce((sum, [id, count]) => (id === active ? sum : sum + count), 0);
  if (left === 0) return;
  throw new CliError(
    `${left} tokens in Redis are not sealed under the active domain key: wait until keyfleet domain status says that nothing is left under older ones. ` +
      'If it says so already, a record key is left that no frontend uses: remove it, but never the one that keyfleet doctor names.',
  );
}

/** When a record key was made is known by the domain keys alone, and decides which of two is followed. */
async function assertOneRecordKey(redis: RedisClient): Promise<void> {
  const numbers = await storedNumbers(redis);
  if (numbers.length < 2) return;
  throw new CliError(
    `record keys ${numbers.join(' and ')} are stored: if they are being replaced, finish that first, with keyfleet store rotate-record-key; else remove the ones that nobody uses (keyfleet doctor).`,
  );
}

/**
 * Only the domain key that a removal made says that there was one. Without it the older ones are not retired when they
 * are reinstated, and the doctor and frontends take a record key that somebody who left has for one that he has not.
 */
export async function assertForgetsNoRemoval(
  state: DomainState,
  dropped: readonly string[],
  openRecordKey: () => Promise<MadeRecordKey | undefined>,
): Promise<void> {
  const removal = newestAfterRemoval(state);
  if (removal === undefined || !dropped.includes(removal.id)) return;
  const isKept = ({ id, createdGeneration }: DomainKeyInfo): boolean =>
    createdGeneration < removal.createdGeneration && !dropped.includes(id);
  const kept = state.domainKeys.find(isKept);
  if (kept !== undefined) {
    throw new CliError(
      `domain key ${removal.id} shows that whoever left may have the older domain key ${kept.id}: drop both, or keep both.`,
    );
  }
  try {
    const recordKey = await openRecordKey();
    if (recordKey === undefined) throw new CliError('there is none in Redis');
    judgedRecordKey(state, recordKey);
  } catch (cause) {
    if (!(cause instanceof CliError)) throw cause;
    throw new CliError(
      `only domain key ${removal.id} still shows that somebody left. It may be dropped once workers open a record key that was made since: ${cause.message}`,
      { cause, exitCode: cause.exitCode },
    );
  }
}

function keysOf(state: DomainState, list: string): string[] {
  return listOf(list).map((prefix) => keyOf(state, prefix));
}

function keyOf({ domainKeys }: DomainState, prefix: string): string {
  const [found, ...more] = domainKeys.filter(({ id }) => id.startsWith(prefix));
  if (found === undefined) throw new CliError(`the domain has no domain key ${prefix}. See: keyfleet domain show`);
  if (more.length > 0) throw new CliError(`${more.length + 1} domain keys begin with ${prefix}: give more of the id.`);
  return found.id;
}

function droppableOf(state: DomainState): string[] {
  const old = state.domainKeys.filter(({ id }) => (droppableAt(state, id) ?? Infinity) <= Date.now());
  if (old.length === 0) throw new CliError('no domain key may be dropped yet. See: keyfleet domain status');
  return old.map(({ id }) => id);
}
