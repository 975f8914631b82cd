import { takeBackup } from '../backup/take.ts';
import { verb } from '../verb.ts';
import { Progress } from '../progress.ts';
import { openRedis, redisOptions } from '../redis-option.ts';
import { leftOutText } from '../left-out.ts';

export const backup = verb({
  description: 'Back up Redis to a file while the service runs, then verify the file.',
  args: {
    ...redisOptions,
    out: { type: 'string', description: 'Output file.', valueHint: 'FILE', required: true },
    resume: { type: 'boolean', description: 'Resume an interrupted backup.', default: false },
  },
  async run(args, terminal) {
    await using redis = await openRedis(args);
    const { out, resume } = args;
    const { values, leftOut } = await takeBackup(redis, { path: out, resume, progress: new Progress(terminal) });
    return { file: out, values, leftOut };
  },
  text: ({ file, values, leftOut }) =>
    [`${values} values are in ${file}. It was read back and is whole.`, ...leftOutText(leftOut)].join('\n'),
  isWell: ({ leftOut }) => leftOut.length === 0,
});
