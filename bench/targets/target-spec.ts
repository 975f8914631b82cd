import { BenchError } from '../bench-error.ts';

/** What `--target` says. */
export interface TargetSpec {
  readonly name: string;
  readonly kind:
    'keyfleet' | 'keyfleet-grpc' | 'prototype' | 'openbao' | 'local-kms' | 'aws' | 'grpc' | 'transit' | 'plain';
  /** Of those that the harness does not start. */
  readonly url?: URL;
  readonly region?: string;
  /** Of the AWS configuration files. */
  readonly profile?: string;
  /** name -> process id. */
  readonly pids: Readonly<Record<string, number>>;
}

const started = ['keyfleet', 'keyfleet-grpc', 'prototype', 'openbao', 'local-kms'] as const;
const schemes: Readonly<Record<string, TargetSpec['kind']>> = {
  'http:': 'aws',
  'https:': 'aws',
  'grpc:': 'grpc',
  'grpcs:': 'grpc',
  'transit+http:': 'transit',
  'transit+https:': 'transit',
  'plain+http:': 'plain',
  'plain+https:': 'plain',
};

/** `[NAME=]WHERE[,region=R][,profile=P][,pids=name:pid+name:pid]`. */
export function parseTarget(text: string): TargetSpec {
  const [whole = '', ...settings] = text.split(',');
  const named = /^([\w.-]+)=(.+)$/.exec(whole);
  const where = named?.[2] ?? whole;
  const found = started.find((kind) => kind === where);
  const base = found === undefined ? remote(where, text) : { kind: found };
  const name = named?.[1] ?? (base.kind === 'aws' ? new URL(where).host : base.kind);
  return { name, ...base, ...settingsOf(settings, text) };
}

function remote(where: string, text: string): Pick<TargetSpec, 'kind' | 'url'> {
  const url = URL.parse(where);
  const kind = url === null ? undefined : schemes[url.protocol];
  if (url !== null && kind !== undefined) return { kind, url };
  const known = [...started, ...Object.keys(schemes).map((scheme) => `${scheme}//HOST:PORT`)].join(', ');
  throw new BenchError(`--target ${text}: '${where}' is no target. There are ${known}.`);
}

function settingsOf(settings: readonly string[], text: string): Pick<TargetSpec, 'region' | 'profile' | 'pids'> {
  const known: { region?: string; profile?: string; pids: Record<string, number> } = { pids: {} };
  for (const setting of settings) {
    const [name, value = ''] = setting.split('=');
    if (name === 'region' || name === 'profile') known[name] = value;
    else if (name === 'pids') Object.assign(known.pids, pidsOf(value, text));
    else throw new BenchError(`--target ${text}: '${setting}' is no setting. There are region=, profile= and pids=.`);
  }
  return known;
}

function pidsOf(value: string, text: string): Record<string, number> {
  const pairs = value.split('+').map((pair) => /^([\w.-]+):(\d+)$/.exec(pair));
  if (pairs.some((pair) => pair === null)) {
    throw new BenchError(`--target ${text}: pids= takes NAME:PID, and + between several.`);
  }
  return Object.fromEntries(pairs.map((pair) => [pair![1]!, Number(pair![2])]));
}
