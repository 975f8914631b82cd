import { ConfigError } from '@keyfleet/shared/config';
import type { FrontendConfig } from '../config.ts';
import type { PathDeps } from './path.ts';
import type { PipelineDeps } from '../request/pipeline.ts';
import type { Pipeline } from '../request/pipeline.ts';
import { startListener } from './listener.ts';
import { newPathAuthenticator } from './path.ts';
import { type ProxyDeps, XksPath } from './proxy.ts';

export interface XksProxyParts extends Omit<PathDeps, 'partition'>, Pick<ProxyDeps, 'hsm' | 'keys'> {
  /** A way for requests that others authenticate. */
  readonly pipelineFor: (authenticator: PipelineDeps['authenticator']) => Pipeline;
}

/** Serves AWS's External Key Store Proxy API, where that is configured. Throws ConfigError. */
export async function startXksProxy(
  { xksProxy: config, partition, regions, drain }: FrontendConfig,
  { identities, clock, hsm, keys, pipelineFor }: XksProxyParts,
): Promise<AsyncDisposable | undefined> {
  if (config === undefined) return undefined;
  const paths = new Map<string, XksPath>();
  for (const path of config.paths) {
    const { prefix, region } = path;
    if (paths.has(prefix)) throw new ConfigError(`xksProxy.paths: the prefix "${prefix}" stands twice. Remove one.`);
    if (!regions.includes(region))
      throw new ConfigError(`xksProxy.paths: ${region} is not one of the regions. Add it.`);
    const pipeline = pipelineFor(newPathAuthenticator(path, { identities, partition, clock }));
    paths.set(prefix, new XksPath({ pipeline, hsm, keys, region }));
  }
  return startListener({ config, paths, drainMs: drain });
}
