import { ConfigError } from '@keyfleet/shared/config';
import { reportOf } from '@keyfleet/shared/grpc/peers';
import { TlsFiles } from '@keyfleet/shared/tls/tls-files';
import type { Assembly } from '../assembly.ts';
import type { PathDeps } from './path.ts';
import type { PipelineDeps } from '../request/pipeline.ts';
import type { Pipeline } from '../request/pipeline.ts';
import { startListener } from './listener.ts';
import { newPathAuthenticator } from './path.ts';
import { type ProxyDeps, XksPath } from './proxy.ts';

export interface XksProxyParts extends Omit<PathDeps, 'partition' | 'clock'>, Pick<ProxyDeps, 'hsm' | 'keys'> {
  /** A pipeline for requests that others authenticate. */
  readonly pipelineFor: (authenticator: PipelineDeps['authenticator']) => Pipeline;
}

/** Serves AWS's External Key Store Proxy API if configured. Throws ConfigError. */
export async function startXksProxy(
  { config: { xksProxy: config, partition, regions, drain, maxConnectionAge }, clock, log, resources }: Assembly,
  { identities, hsm, keys, pipelineFor }: XksProxyParts,
): Promise<void> {
  if (config === undefined) return;
  const paths = new Map<string, XksPath>();
  for (const path of config.paths) {
    const { prefix, accountId, region } = path;
    if (paths.has(prefix)) throw new ConfigError(`xksProxy.paths: the prefix "${prefix}" occurs twice. Remove one.`);
    if (!regions.includes(region))
      throw new ConfigError(`xksProxy.paths: the Region ${region} is not in regions. Add it.`);
    const pipeline = pipelineFor(newPathAuthenticator(path, { identities, partition, clock }));
    paths.set(prefix, new XksPath({ pipeline, hsm, keys, accountId, region }));
  }
  const { certificateFile, keyFile, client } = config;
  const files = { certificateFile, keyFile, ...(client && { caFile: client.caFile }) };
  const fields = { field: 'xksProxy', caField: 'xksProxy.client.caFile' };
  const tls = resources.use(new TlsFiles(files, { ...fields, onProblem: reportOf(log) }));
  resources.use(await startListener({ config, tls, paths, drainMs: drain, maxConnectionAgeMs: maxConnectionAge }));
}
