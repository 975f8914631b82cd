import { verifyChain } from '@keyfleet/shared/domain/chain';
import { activeDomainKey } from '@keyfleet/shared/domain/state';
import { checkDurability } from '@keyfleet/shared/redis/durability';
import { CliError } from '../cli-error.ts';
import { command } from '../command.ts';
import { anchorOptions, managerOptions, openDomain } from '../options.ts';
import { openRedis, redisOptions } from '../redis-option.ts';

interface Check {
  readonly check: string;
  readonly well: boolean;
  /** What was found; when it is not well, also what to do. */
  readonly finding: string;
}

/** Clocks of workers are read from the time of the newest domain key: it must not lie ahead of ours. */
const CLOCK_TOLERANCE_MS = 60_000;

export const doctor = command({
  description: 'Look at everything a domain needs, and say what to do about what is not well.',
  args: { ...managerOptions, ...anchorOptions, ...redisOptions },
  async run(args) {
    using domain = openDomain(args);
    const { client, anchor } = domain;
    const checks = [
      check('Redis', async () => {
        await using redis = await openRedis(args);
        await checkDurability(redis, 'strict');
        return 'answers, and keeps every acknowledged write';
      }),
      check('domain-manager', async () => {
        const { leader } = await client.status();
        if (!leader) throw new CliError('no replica leads: look at the logs of the domain-managers.');
        return `answers; ${leader} leads`;
      }),
      check('domain tokens', async () => {
        const tokens = await client.fetchTokens();
        const { state } = verifyChain(anchor, tokens);
        return `all ${tokens.length} verify from the trust anchor; generation ${state.generation}`;
      }),
      check('clocks', async () => {
        const { state } = await client.getDomain(anchor);
        const ahead = activeDomainKey(state).createdAt - Date.now();
        if (ahead > CLOCK_TOLERANCE_MS) {
          throw new CliError(`the newest domain key is ${Math.round(ahead / 1000)} s in the future: set the clocks.`);
        }
        return 'the newest domain key is not in the future';
      }),
      check('hsm-workers', async () => {
        const { workers = [], generation = 0 } = await client.status();
        const unwell = workers.filter(({ standing, problem }) => standing === 'unreachable' || problem);
        if (unwell.length > 0) {
          const said = unwell.map(({ address, problem }) => `${address}: ${problem ?? 'unreachable'}`);
          throw new CliError(`${said.join('; ')}. Start them, or look at their logs.`);
        }
        const members = workers.filter(({ standing }) => standing === 'member').length;
        if (members < 2) throw new CliError(`only ${members} serves: admit another, so that one may fail.`);
        return `${members} members, all reached, generation ${generation}`;
      }),
      check('domain keys', async () => {
        const { reseal } = await client.status();
        if (reseal !== undefined && (reseal.remaining ?? 0) > 0) {
          throw new CliError(`${reseal.remaining} tokens stay under older keys: look at the logs of the frontends.`);
        }
        return reseal?.verified === false ? 'resealing goes on' : 'nothing waits to be resealed';
      }),
    ];
    return { checks: await Promise.all(checks) };
  },
  text: ({ checks }) =>
    checks.map(({ check: name, well, finding }) => `${well ? 'well    ' : 'NOT WELL'}  ${name}: ${finding}`).join('\n'),
  isWell: ({ checks }) => checks.every(({ well }) => well),
});

async function check(name: string, look: () => Promise<string>): Promise<Check> {
  try {
    return { check: name, well: true, finding: await look() };
  } catch (error) {
    return { check: name, well: false, finding: (error as Error).message };
  }
}
