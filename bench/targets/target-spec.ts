import { BenchError } from '../bench-error.ts';
import type { Address } from '../wire/endpoint.ts';

/**
 * Whom the timed requests are from, and why they may: each a user whose policy allows everything, or does so under
 * conditions; a session of one role; a user to whom nothing but a grant on each key allows it.
 */
export const callerKinds = ['user', 'conditions', 'role', 'grant'] as const;
export type CallerKind = (typeof callerKinds)[number];

/** What `--target` says. */
export interface TargetSpec {
  readonly name: string;
  readonly kind:
    'keyfleet' | 'keyfleet-grpc' | 'prototype' | 'openbao' | 'local-kms' | 'aws' | 'grpc' | 'transit' | 'plain';
  /** Of targets that the harness does not start. */
  readonly url?: URL;
  readonly region?: string;
  /** Of the AWS configuration files. */
  readonly profile?: string;
  /** Of a cluster that is started: how many frontends, and whether everything speaks TLS. */
  readonly frontends?: number;
  readonly tls?: boolean;
  /** Of the same: whose requests are timed; the administrator's unless it says. */
  readonly callers?: number;
  readonly as?: CallerKind;
  /** Of a server that is not: further addresses of it, to which connections are dealt out. */
  readonly also?: readonly Address[];
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

/** `[NAME=]WHERE` and settings, with commas: `npm run bench -- --help` has them. */
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

type Settings = Pick<TargetSpec, 'region' | 'profile' | 'pids' | 'frontends' | 'tls' | 'callers' | 'as' | 'also'>;

function settingsOf(settings: readonly string[], text: string): Settings {
  return settings.reduce<Settings>(
    (known, setting) => {
      const [name = '', value = ''] = setting.split('=');
      const read = readers[name];
      if (read !== undefined) return { ...known, ...read(value, text, known) };
      const names = Object.keys(readers).map((one) => `${one}=`);
      throw new BenchError(`--target ${text}: '${setting}' is no setting. There are ${names.join(', ')}.`);
    },
    { pids: {} },
  );
}

const MOST_FRONTENDS = 16;
const MOST_CALLERS = 10_000;

const readers: Readonly<Record<string, (value: string, text: string, known: Settings) => Partial<Settings>>> = {
  region: (region) => ({ region }),
  profile: (profile) => ({ profile }),
  pids: (value, text, { pids }) => ({ pids: { ...pids, ...pidsOf(value, text) } }),
  frontends(value, text) {
    const frontends = Number(value);
    if (Number.isInteger(frontends) && frontends >= 1 && frontends <= MOST_FRONTENDS) return { frontends };
    throw new BenchError(`--target ${text}: frontends= takes a number from 1 to ${MOST_FRONTENDS}.`);
  },
  tls(value, text) {
    if (value === 'on' || value === 'off') return { tls: value === 'on' };
    throw new BenchError(`--target ${text}: tls= takes on or off.`);
  },
  callers(value, text) {
    const callers = Number(value);
    if (Number.isInteger(callers) && callers >= 1 && callers <= MOST_CALLERS) return { callers };
    throw new BenchError(`--target ${text}: callers= takes a number from 1 to ${MOST_CALLERS}.`);
  },
  as(value, text) {
    const as = callerKinds.find((kind) => kind === value);
    if (as !== undefined) return { as };
    throw new BenchError(`--target ${text}: as= takes ${callerKinds.join(', ')}.`);
  },
  also: (value, text) => ({ also: value.split('+').map((address) => addressOf(address, text)) }),
};

function addressOf(address: string, text: string): Address {
  const [, host, port] = /^([\w.-]+):(\d+)$/.exec(address) ?? [];
  if (host !== undefined) return { host, port: Number(port) };
  throw new BenchError(`--target ${text}: also= takes HOST:PORT, and + between several.`);
}

function pidsOf(value: string, text: string): Record<string, number> {
  const pairs = value.split('+').map((pair) => /^([\w.-]+):(\d+)$/.exec(pair));
  if (pairs.some((pair) => pair === null)) {
    throw new BenchError(`--target ${text}: pids= takes NAME:PID, and + between several.`);
  }
  return Object.fromEntries(pairs.map((pair) => [pair![1]!, Number(pair![2])]));
}
