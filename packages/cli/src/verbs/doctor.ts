import { CliError } from '../cli-error.ts';
import { verb } from '../verb.ts';
import { adviceFor } from '../doctor/advice.ts';
import { checksOf, type Patient } from '../doctor/checks.ts';
import { checkFleetKeys } from '../doctor/check-fleet-keys.ts';
import { checkMaterial } from '../doctor/check-material.ts';
import { checkOpenedRecordKey } from '../doctor/check-record-key.ts';
import { checkRecords } from '../doctor/check-records.ts';
import { anchorOptions, listOf, managerOptions, openDomain } from '../options.ts';
import { Progress } from '../progress.ts';
import { nodesOf, openRedis, redisOptions, sentinelsOf } from '../redis-option.ts';

interface Finding {
  readonly check: string;
  /** `advice`: it works, but could be better. */
  readonly standing: 'well' | 'advice' | 'not-well';
  /** What was found; if it is not well, also what to do. */
  readonly finding: string;
}

const marks = { well: 'well    ', advice: 'advice  ', 'not-well': 'NOT WELL' } as const;

export const doctor = verb({
  description: 'Check everything a domain needs, and say how to fix what is wrong.',
  args: {
    ...managerOptions,
    ...anchorOptions,
    ...redisOptions,
    frontends: {
      type: 'string',
      description: 'HTTP addresses of frontends to check as well, comma-separated.',
      valueHint: 'URLS',
    },
    'redis-nodes': {
      type: 'string',
      description:
        'All nodes of Redis, comma-separated: also compare each replica with its master, and see who else follows one.',
      valueHint: 'HOST:PORT,...',
    },
    census: {
      type: 'boolean',
      description: 'Also read every stored record and count what each domain key seals.',
      default: false,
    },
    deep: {
      type: 'boolean',
      description: 'Also have the workers open every stored token, and verify the MAC of every record.',
      default: false,
    },
    host: { type: 'string', description: 'With --deep: the operator id of a frontend.', valueHint: 'ID' },
    'host-key': { type: 'string', description: 'With --deep: the key file of that frontend.', valueHint: 'FILE' },
  },
  async run(args, terminal) {
    using domain = openDomain(args);
    const patient = {
      ...domain,
      openRedis: () => openRedis(args),
      redisServers: { nodes: nodesOf(listOf(args['redis-nodes']), args), sentinels: sentinelsOf(args) },
      frontends: frontendsOf(args.frontends),
      progress: new Progress(terminal),
    };
    const found = await Promise.all(
      Object.entries(checksOf(patient, args)).map(([name, look]) => findingOf(name, () => look(patient))),
    );
    const deep = args.deep
      ? [
          await findingOf('stored material', () => checkMaterial(patient, args)),
          await findingOf('keys that frontends share', () => checkFleetKeys(patient, args)),
          await findingOf('opened record key', () => checkOpenedRecordKey(patient, args)),
          await findingOf('records', () => checkRecords(patient, args)),
        ]
      : [];
    return { findings: [...found, ...deep, ...(await advise(patient))] };
  },
  text: ({ findings }) =>
    findings.map(({ check, standing, finding }) => `${marks[standing]}  ${check}: ${finding}`).join('\n'),
  isWell: ({ findings }) => findings.every(({ standing }) => standing !== 'not-well'),
});

function frontendsOf(option: string | undefined): string[] {
  const frontends = listOf(option);
  const wrong = frontends.find((url) => !URL.canParse(url));
  if (wrong !== undefined)
    throw new CliError(`--frontends: ${wrong} is not a URL such as http://127.0.0.1:8900`, { exitCode: 2 });
  return frontends;
}

async function findingOf(check: string, look: () => Promise<string>): Promise<Finding> {
  try {
    return { check, standing: 'well', finding: await look() };
  } catch (error) {
    return { check, standing: 'not-well', finding: (error as Error).message };
  }
}

/** For a domain that can be read; the checks above report one that cannot. */
async function advise({ client, anchor }: Patient): Promise<Finding[]> {
  try {
    const { tokens, domain } = await client.getChain(anchor);
    const advice = adviceFor({ state: domain.state, tokens }, await client.status(), anchor);
    return advice.map((finding) => ({ check: 'domain', standing: 'advice', finding }));
  } catch {
    return [];
  }
}
