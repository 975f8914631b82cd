import { CliError } from '@keyfleet/cli/cli-error';
import { type PlannedKey, readSeed } from '@keyfleet/cli/seed/seed-file';
import { ACCOUNT_ID } from '@keyfleet/shared/ids';
import { join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { readCredentials } from './aws-files.ts';
import { type Cluster, startCluster } from './cluster.ts';
import { peersOf } from './home-tls.ts';
import type { FirstKey } from './first-key.ts';
import { defaultPorts } from './ports.ts';
import { describeWorker } from './readiness.ts';
import { allRegions, readRegions } from './regions.ts';
import { StartError } from './start-error.ts';

const usage = `Usage: npm start -- [options]
  --home DIR       where everything is kept (.keyfleet)
  --http-port N    the AWS KMS API over HTTP (${defaultPorts.http})
  --grpc-port N    the same over gRPC (${defaultPorts.grpc})
  --tls            everything speaks TLS, with certificates of an authority of the home's own
  --workers N      hsm-workers of a new home (2)
  --account ID     AWS account of a new home (000000000000)
  --seed FILE      makes the keys of a seed file that are not there yet (docs/import.md)
  --regions R,...  the Regions served (all ${allRegions.length} of AWS); the first is that of the first key`;

/** The home is relative to where the person stands; npm itself runs in the project's directory. */
const here = process.env['INIT_CWD'] ?? process.cwd();

const MAX_PORT = 65_535;
const MAX_WORKERS = 64;

function readOptions(args: string[]) {
  const option = { type: 'string' } as const;
  const { values } = parseArgs({
    args,
    options: {
      home: option,
      'http-port': option,
      'grpc-port': option,
      workers: option,
      account: option,
      regions: option,
      seed: option,
      tls: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  });
  if (values.account !== undefined && !ACCOUNT_ID.test(values.account)) {
    throw new StartError('--account must be 12 digits.');
  }
  const httpPort = readNumber('--http-port', values['http-port'], MAX_PORT) ?? defaultPorts.http;
  const grpcPort = readNumber('--grpc-port', values['grpc-port'], MAX_PORT) ?? defaultPorts.grpc;
  if (httpPort === grpcPort) throw new StartError(`--http-port and --grpc-port are both ${httpPort}, and must differ.`);
  return {
    help: values.help ?? false,
    home: values.home === undefined ? join(import.meta.dirname, '../.keyfleet') : resolve(here, values.home),
    httpPort,
    grpcPort,
    workers: readNumber('--workers', values.workers, MAX_WORKERS),
    tls: values.tls ?? false,
    accountId: values.account,
    regions: readRegions(values.regions),
    seed: values.seed === undefined ? undefined : resolve(here, values.seed),
  };
}

function readNumber(name: string, text: string | undefined, max: number): number | undefined {
  if (text === undefined) return undefined;
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= 1 && number <= max) return number;
  throw new StartError(`${name} must be a number from 1 to ${max}.`);
}

/** One line, whatever is served. */
function regionsText(regions: readonly string[]): string {
  return regions === allRegions ? `every Region of AWS` : regions.join(', ');
}

async function summary(cluster: Cluster, key: FirstKey, regions: readonly string[]): Promise<string> {
  const { home, ports, endpoint, grpcAddress } = cluster;
  const worker = await describeWorker(ports.workers[0] ?? 0, peersOf(home));
  const show = (...parts: string[]) => relative(here, home.in(...parts)) || home.in(...parts);
  const aws = `aws --endpoint-url ${endpoint} kms`;
  return `
Keyfleet is up.

  Endpoint     ${endpoint}  (AWS KMS API; ${regionsText(regions)})
  gRPC         ${grpcAddress}
  Credentials  ${show('aws', 'credentials')}  (user admin of account ${home.facts.accountId}), ${show('aws', 'config')}
  First key    ${key.arn}
               alias/first-key, ${key.created ? 'created just now' : 'found again'}; sealed under domain key generation ${worker?.active_generation ?? '?'}
  Logs         ${show('log')}
${home.facts.tls ? `  Authority    ${show('tls', 'ca.pem')}  (for clients that do not read the AWS configuration: NODE_EXTRA_CA_CERTS, SSL_CERT_FILE)\n` : ''}
Try it in another terminal:

  export AWS_CONFIG_FILE=${home.in('aws', 'config')} AWS_SHARED_CREDENTIALS_FILE=${home.in('aws', 'credentials')}
  ${aws} create-key --description "my own key"
  ${aws} encrypt --key-id alias/first-key --plaintext aGVsbG8= --encryption-context purpose=demo
  ${aws} list-aliases

The administrator may do everything. A user who may do less (docs/identities.md):

  aws iam create-user --user-name app
  aws iam put-user-policy --user-name app --policy-name use --policy-document '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["kms:Encrypt","kms:Decrypt"],"Resource":"${key.arn}"}]}'
  aws iam create-access-key --user-name app

Ctrl-C stops everything; the next start finds the same keys.
`;
}

/** Aborted by the first signal; the second ends the launcher at once. */
function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (stop.signal.aborted) process.exit(1);
      report('Stopping ...');
      stop.abort();
    });
  }
  return stop.signal;
}

// Output may go to a full disk or a closed terminal: that must end nothing.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);

function report(line: string): void {
  process.stderr.write(`${line}\n`);
}

async function start(args: string[]): Promise<void> {
  const options = readOptions(args);
  if (options.help) return report(usage);
  // Before anything starts, so that a mistake is told at once.
  const planned = options.seed === undefined ? [] : await readSeed(options.seed);
  const signal = stopSignal();
  await using cluster = await startCluster({ ...options, supervise: true, report });
  const { provideFirstKey } = await import('./first-key.ts');
  const key = await provideFirstKey(cluster);
  await plantAll(cluster, planned);
  process.stdout.write(await summary(cluster, key, options.regions));
  if (!signal.aborted) {
    // Nothing else holds the event loop when every process has just ended and waits for its restart.
    const alive = setInterval(() => undefined, 60_000);
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    clearInterval(alive);
  }
}

async function plantAll(cluster: Cluster, planned: readonly PlannedKey[]): Promise<void> {
  if (planned.length === 0) return;
  const [{ plant }, { KMS }] = await Promise.all([import('@keyfleet/cli/seed/plant'), import('@aws-sdk/client-kms')]);
  const kms = new KMS({
    endpoint: cluster.endpoint,
    region: cluster.region,
    credentials: readCredentials(cluster.home),
  });
  for (const key of planned) {
    const { keyId, created } = await plant(kms, key);
    report(`Key ${keyId} of the seed file ${created ? 'is made' : 'was there'}.`);
  }
  kms.destroy();
}

/** One line if a person can act on it; anything else is our fault and shown whole. */
function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = (error as NodeJS.ErrnoException).code ?? '';
  if (code.startsWith('ERR_PARSE_ARGS')) return `${error.message.split('\n')[0]} See npm start -- --help`;
  if (error instanceof StartError || error instanceof CliError) return error.message;
  if (['EACCES', 'ENOSPC', 'EROFS', 'ENOTDIR'].includes(code))
    return `${error.message}. Correct it, or choose another --home.`;
  return error.stack ?? error.message;
}

try {
  await start(process.argv.slice(2));
} catch (error) {
  const stopped = error instanceof Error && error.name === 'AbortError';
  if (!stopped) report(`keyfleet: ${explain(error)}`);
  process.exitCode = stopped ? 0 : 1;
}
