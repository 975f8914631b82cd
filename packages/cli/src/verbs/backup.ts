import { takeBackup } from '../backup/take.ts';
import { verb } from '../verb.ts';
import { Progress } from '../progress.ts';
import { openRedis, redisOptions } from '../redis-option.ts';

export const backup = verb({
  description: 'Write everything in Redis to a file, while the service runs, and read it back to be sure.',
  args: {
    ...redisOptions,
    out: { type: 'string', description: 'Where it goes.', valueHint: 'FILE', required: true },
    resume: { type: 'boolean', description: 'Go on with one that was cut off.', default: false },
  },
  async run(args, terminal) {
    await using redis = await openRedis(args);
    const { out, resume } = args;
    const { values } = await takeBackup(redis, { path: out, resume, progress: new Progress(terminal) });
    return { file: out, values };
  },
  text: ({ file, values }) => `${values} values are in ${file}. It was read back and is whole.`,
});
