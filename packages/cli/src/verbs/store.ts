import { checkDurability } from '@keyfleet/shared/redis/durability';
import { DurableWrites } from '@keyfleet/shared/redis/durable-writes';
import { isStoreId } from '@keyfleet/shared/redis/store-id';
import { acceptStore, readStoreIdentity } from '@keyfleet/shared/redis/store-identity';
import { storeAt, tokensAt } from '@keyfleet/shared/stored/names';
import { authenticateRecords } from '../authenticate-records.ts';
import { CliError } from '../cli-error.ts';
import { verb } from '../verb.ts';
import { hostOptions, openHostHsm } from '../host-pool.ts';
import { anchorOptions, loadSigner, managerOptions, numberOf, openDomain, signerOptions } from '../options.ts';
import { Progress } from '../progress.ts';
import { loadTrustAnchor } from '../public-files.ts';
import { openRecords } from '../records.ts';
import { openRedis, redisOptions } from '../redis-option.ts';
import { verifyStoredDomain } from '../stored-domain.ts';
import { rotateRecordKey as rotate } from '../rotate-record-key.ts';

export const accept = verb({
  description: 'Accept this Redis in place of the previous one: a restored backup, or a store whose losses you accept.',
  args: {
    ...signerOptions,
    ...anchorOptions,
    ...redisOptions,
    'in-place-of': {
      type: 'string',
      description:
        'The store that services know, as they say it, if this Redis is from a backup of before its acceptance.',
      valueHint: 'ID',
    },
  },
  async run(args, terminal) {
    const inPlaceOf = args['in-place-of'];
    if (inPlaceOf !== undefined && !isStoreId(inPlaceOf)) {
      throw new CliError(`--in-place-of: '${inPlaceOf}' is no store's id. Services say it: "before (...)".`, {
        exitCode: 2,
      });
    }
    const anchor = loadTrustAnchor(args['trust-anchor']);
    const { domain } = anchor;
    await using redis = await openRedis(args);
    const seen = await readStoreIdentity(redis, domain);
    if (seen.hasNoList) {
      throw new CliError(
        `something else stands in the place of the domain tokens (${tokensAt(domain)}): nothing is to be accepted. See docs/recovery.md, "A domain token that is none".`,
      );
    }
    if (seen.generation === 0) {
      throw new CliError(`this Redis holds nothing of the domain '${domain}': restore a backup first.`);
    }
    const { state } = await verifyStoredDomain(redis, anchor);
    const signer = await loadSigner(
      args,
      terminal,
      state.operators.filter(({ role }) => role === 'operator'),
    );
    const durability = await checkDurability(redis, 'strict');
    const writes = new DurableWrites(redis, () => durability);
    const acceptance = { present: seen, inPlaceOf, acceptedAt: Date.now(), signer };
    if ((await writes.write(storeAt(domain), (client) => acceptStore(client, domain, acceptance))) !== 1) {
      throw new CliError('somebody else accepted a store at the same time. See: keyfleet doctor');
    }
    const { id } = await readStoreIdentity(redis, domain);
    return { domain, before: seen.id, ...(inPlaceOf !== undefined && { inPlaceOf }), id };
  },
  text: ({ domain, before, inPlaceOf, id }) => {
    const stores = [before || 'one without an id', ...(inPlaceOf === undefined ? [] : [inPlaceOf])];
    return `the domain '${domain}' now has the store ${id} in place of ${stores.join(' and ')}.`;
  },
});

export const authenticate = verb({
  description:
    'Give a MAC to every record without one, and so accept it: after an upgrade, or a restore, from a release that made none.',
  args: { ...hostOptions, ...managerOptions, ...anchorOptions, ...redisOptions },
  async run(args, terminal) {
    using domain = openDomain(args);
    await using redis = await openRedis(args);
    await using hsm = await openHostHsm(args, domain, redis);
    return await authenticateRecords(redis, await openRecords(redis, hsm, domain), new Progress(terminal));
  },
  text: ({ genuine, made, refused }) =>
    [`${made} records were given a MAC, ${genuine} had theirs.`, ...refused].join('\n'),
  isWell: ({ refused }) => refused.length === 0,
});

export const rotateRecordKey = verb({
  description: 'Put every record under a new record key and drop the older ones, while everything serves.',
  args: {
    ...hostOptions,
    ...managerOptions,
    ...anchorOptions,
    ...redisOptions,
    newest: {
      type: 'string',
      description: "The newest record key so far: from the last run's output, or a frontend's record-key-floor.json.",
      valueHint: 'NUMBER',
      required: true,
    },
    'made-in': {
      type: 'string',
      description: 'The generation of the domain in which that record key was made: it stands beside the number.',
      valueHint: 'GENERATION',
      required: true,
    },
    interrupted: {
      type: 'string',
      description: 'The record key that an interrupted run made: records under the one before it are believed.',
      valueHint: 'NUMBER',
    },
  },
  async run(args, terminal) {
    const known = { number: numberOf('--newest', args.newest), madeIn: numberOf('--made-in', args['made-in'], 0) };
    const interrupted = args.interrupted === undefined ? undefined : numberOf('--interrupted', args.interrupted);
    using domain = openDomain(args);
    await using redis = await openRedis(args);
    await using hsm = await openHostHsm(args, domain, redis);
    const records = await openRecords(redis, hsm, domain, known);
    return await rotate(redis, records, new Progress(terminal), { known, interrupted });
  },
  text: ({ newest, madeIn, rewritten, refused, unlisted }) => {
    const put = `${rewritten} records were put under record key ${newest}, made in generation ${madeIn}`;
    if (refused.length === 0) return [`${put}; there is no other.`, ...unlisted].join('\n');
    const stopped = `${put}, but ${refused.length} were refused, so no older record key was dropped. Restore or delete these records, then run this again.`;
    return [stopped, ...refused, ...unlisted].join('\n');
  },
  isWell: ({ refused }) => refused.length === 0,
});
