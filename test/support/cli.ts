import { keyfleet } from '@keyfleet/cli/keyfleet';
import { runCli } from '@keyfleet/cli/run-cli';
import { identities } from '../../tools/home.ts';
import type { TestCluster } from './cluster.ts';

/** A cluster's parts, domain and operators, as options of verbs. */
export function cliOptionsOf({ home, ports }: Pick<TestCluster, 'home' | 'ports'>) {
  const password = ['--redis-password-file', home.secretFile('redis-password')];
  return {
    domain: ['--domain-manager', `127.0.0.1:${ports.domainManager}`, '--trust-anchor', home.trustAnchorFile],
    redis: ['--redis', `redis://127.0.0.1:${ports.redis}`, ...password],
    signer: ['--as', identities.operator, '--key', home.keyFile(identities.operator)],
    host: ['--host', identities.frontend, '--host-key', home.keyFile(identities.frontend)],
  };
}

export interface Transcript {
  readonly exitCode: number;
  readonly out: string;
  readonly notes: string;
}

/** A command line of `keyfleet`, at a terminal where nobody answers questions. */
export async function runKeyfleet(...args: readonly string[]): Promise<Transcript> {
  const out: string[] = [];
  const notes: string[] = [];
  const terminal = {
    write: (text: string) => void out.push(text),
    note: (text: string) => void notes.push(text),
    askSecret: () => Promise.reject(new Error('a test cannot be asked')),
  };
  const exitCode = await runCli(keyfleet(terminal), args, terminal);
  return { exitCode, out: out.join('\n'), notes: notes.join('\n') };
}

/** What a command prints with --json. */
export async function keyfleetJson<T>(...args: readonly string[]): Promise<T> {
  const { out, notes } = await runKeyfleet(...args, '--json');
  if (out === '') throw new Error(notes);
  return JSON.parse(out) as T;
}
