import { KMSClient } from '@aws-sdk/client-kms';
import { BenchError } from '../bench-error.ts';
import type { Signing } from '../wire/endpoint.ts';
import { awsJson } from './aws-json.ts';
import { keyfleetGrpc } from './grpc.ts';
import type { StartedTargets, TargetOptions } from './started-targets.ts';
import type { Target } from './target.ts';
import type { TargetSpec } from './target-spec.ts';
import { transit } from './transit.ts';

const REGION = 'us-east-1';

/** Starts those without a URL; `resources` stops them again. */
export async function openTargets(
  specs: readonly TargetSpec[],
  options: TargetOptions,
  resources: AsyncDisposableStack,
): Promise<Target[]> {
  let started: StartedTargets | undefined;
  const targets: Target[] = [];
  for (const spec of specs) {
    if (spec.url !== undefined) targets.push(await ofUrl(spec, spec.url));
    else {
      started ??= new (await loadStartedTargets(spec))(options, resources);
      targets.push(await started.start(spec));
    }
  }
  return targets;
}

/** What a server is started with is not everywhere: the harness's image has none of it. */
async function loadStartedTargets({ name }: TargetSpec): Promise<typeof StartedTargets> {
  try {
    return (await import('./started-targets.ts')).StartedTargets;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw cause;
    throw new BenchError(`${name}: only a checkout has what starts a server. Name one that runs, by its URL.`, {
      cause,
    });
  }
}

async function ofUrl(spec: TargetSpec, url: URL): Promise<Target> {
  const { name, kind, pids, also } = spec;
  const tls = /^(?:\w+\+)?https:|^grpcs:/.test(url.protocol);
  const base = { tls, host: url.hostname, port: Number(url.port || (tls ? 443 : 80)), also };
  const processes = () => pids;
  const path = `${url.pathname || '/'}${url.search}`;
  if (kind === 'plain') {
    const onlyRequest = { method: 'GET', path, headers: {}, body: '' };
    return { name, endpoint: { ...base, transport: 'http1' }, protocol: undefined, onlyRequest, processes };
  }
  if (kind === 'transit') {
    const mount = url.pathname.split('/').filter(Boolean).join('/') || 'transit';
    return { name, endpoint: { ...base, transport: 'http1' }, protocol: transit(mount, token(name)), processes };
  }
  const signing = await signingOf(spec);
  if (kind === 'grpc')
    return { name, endpoint: { ...base, transport: 'http2', signing }, protocol: keyfleetGrpc, processes };
  return {
    name,
    endpoint: { ...base, transport: 'http1', signing },
    protocol: awsJson(url.pathname || '/'),
    processes,
  };
}

function token(name: string): string {
  const found = process.env['BAO_TOKEN'] ?? process.env['VAULT_TOKEN'];
  if (found !== undefined) return found;
  throw new BenchError(`${name}: no token. Set BAO_TOKEN or VAULT_TOKEN.`);
}

/** The AWS SDK's own way to credentials: environment, shared files, roles. */
async function signingOf({ name, region, profile }: TargetSpec): Promise<Signing> {
  const client = new KMSClient({
    ...(region === undefined ? {} : { region }),
    ...(profile === undefined ? {} : { profile }),
  });
  try {
    const { accessKeyId, secretAccessKey, sessionToken } = await client.config.credentials();
    const found = await client.config.region().catch(() => REGION);
    return { region: found, accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) };
  } catch (cause) {
    const what = 'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile with ,profile=';
    throw new BenchError(`${name}: no AWS credentials (${(cause as Error).message}): ${what}.`, { cause });
  } finally {
    client.destroy();
  }
}
