import { onlyAuthentic, type Sift } from '../backup/authentic.ts';
import { takeBackup } from '../backup/take.ts';
import { CliError } from '../cli-error.ts';
import { openHostHsm } from '../host-pool.ts';
import { managerOptions, numberOf, openDomain } from '../options.ts';
import { loadTrustAnchor } from '../public-files.ts';
import { openRecords } from '../records.ts';
import { verb } from '../verb.ts';
import { Progress } from '../progress.ts';
import { openRedis, redisOptions } from '../redis-option.ts';
import { leftOutText } from '../left-out.ts';

const CUT_OFF =
  'Keep the backups from before, stop no domain-manager, and see docs/recovery.md, "A domain token that is none".';

export const backup = verb({
  description: 'Back up Redis to a file while the service runs, then verify the file.',
  args: {
    ...redisOptions,
    out: { type: 'string', description: 'Output file.', valueHint: 'FILE', required: true },
    resume: { type: 'boolean', description: 'Resume an interrupted backup.', default: false },
    host: {
      type: 'string',
      description: 'The operator id of a frontend: leave out each record that no frontend wrote.',
      valueHint: 'ID',
    },
    'host-key': { type: 'string', description: 'With --host: the key file of that frontend.', valueHint: 'FILE' },
    'trust-anchor': {
      type: 'string',
      description: 'The trust anchor of the domain: also verify who founded it. --host needs it.',
      valueHint: 'FILE',
    },
    newest: {
      type: 'string',
      description: 'With --host: the newest record key, as store rotate-record-key takes it.',
      valueHint: 'NUMBER',
    },
    'made-in': {
      type: 'string',
      description: 'With --host: the generation of the domain in which it was made.',
      valueHint: 'GENERATION',
    },
    ...managerOptions,
  },
  async run(args, terminal) {
    const { out, resume, host, 'host-key': hostKey, 'trust-anchor': anchorFile, newest, 'made-in': madeIn } = args;
    const anchor = anchorFile === undefined ? undefined : loadTrustAnchor(anchorFile);
    await using redis = await openRedis(args);
    const take = async (sift?: Sift) => {
      const { values, leftOut, cutOff } = await takeBackup(redis, {
        path: out,
        resume,
        progress: new Progress(terminal),
        sift,
        anchor,
      });
      return { file: out, values, leftOut, cutOff };
    };
    if (host === undefined) return await take();
    if (hostKey === undefined || anchorFile === undefined || newest === undefined || madeIn === undefined)
      throw new CliError('--host takes --host-key, --trust-anchor, --newest and --made-in as well.', { exitCode: 2 });
    const known = { number: numberOf('--newest', newest), madeIn: numberOf('--made-in', madeIn, 0) };
    using domain = openDomain({ ...args, 'trust-anchor': anchorFile });
    await using hsm = await openHostHsm({ host, 'host-key': hostKey }, domain, redis);
    return await take(await onlyAuthentic(redis, await openRecords(redis, hsm, domain, known), known));
  },
  text: ({ file, values, leftOut, cutOff }) =>
    [
      `${values} values are in ${file}. It was read back and is whole.`,
      ...leftOutText(leftOut),
      ...cutOff.map((where) => `A restore of it lacks domain tokens: ${where}. ${CUT_OFF}`),
    ].join('\n'),
  isWell: ({ leftOut, cutOff }) => leftOut.length === 0 && cutOff.length === 0,
});
