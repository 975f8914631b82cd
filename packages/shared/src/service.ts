import type { z } from 'zod';
import { ConfigError, configPath, loadConfig, readPublicFile } from './config.ts';
import { parseTrustAnchor, type TrustAnchor } from './domain/trust-anchor.ts';
import { createLog, type Log } from './log.ts';
import { startTelemetry } from './telemetry/export.ts';
import { observeCertificates } from './tls/certificate-ends.ts';

export interface ServiceContext {
  readonly log: Log;
  /** Aborted by SIGTERM or SIGINT: stop taking work. */
  readonly signal: AbortSignal;
  /** Resolves when `signal` is aborted. */
  readonly stopped: Promise<void>;
}

export interface Service<Config> {
  readonly name: string;
  readonly config: z.ZodType<Config>;
  /** Builds the service with `await using`, logs that it is up, awaits `stopped` and returns. */
  run(config: Config, context: ServiceContext): Promise<void>;
}

/**
 * The main function of every service. Exit codes: 0 stopped by a signal, 1 a fault, wherever it is thrown, 2 a bad
 * configuration (one line on stderr).
 */
export async function runService<Config extends { readonly log: { readonly level: string } }>(
  service: Service<Config>,
): Promise<void> {
  let log: Log | undefined;
  // Node.js itself would print the whole error: libraries attach commands with their arguments to theirs.
  process.once('uncaughtException', (error) => process.exit(reportFailure(service.name, error, log)));
  try {
    const config = loadConfig(service.config, configPath(process.argv.slice(2)));
    const serviceLog = createLog({ name: service.name, level: config.log.level });
    log = serviceLog;
    observeCertificates();
    await using _telemetry = startTelemetry(service.name, serviceLog);
    const stop = new AbortController();
    const stopped = new Promise<void>((resolve) => {
      stop.signal.addEventListener('abort', () => resolve(), { once: true });
    });
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.once(signal, () => {
        serviceLog.info({ signal }, 'stopping');
        stop.abort();
      });
    }
    serviceLog.info({ config }, 'starting');
    await service.run(config, { log: serviceLog, signal: stop.signal, stopped });
    serviceLog.info('stopped');
  } catch (error) {
    process.exitCode = reportFailure(service.name, error, log);
  }
  // What is left is work that nobody waits for, such as an RSA key for the pool.
  process.exit();
}

function reportFailure(name: string, error: unknown, log: Log | undefined): 1 | 2 {
  if (error instanceof ConfigError) {
    process.stderr.write(`${name}: ${error.message}\n`);
    return 2;
  }
  if (log) log.error({ err: error }, 'failed');
  else process.stderr.write(`${name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return 1;
}

/** Reads the file that every service's `trustAnchorFile` names. Throws ConfigError. */
export function loadTrustAnchor(path: string): TrustAnchor {
  const text = readPublicFile(path, 'trustAnchorFile');
  try {
    return parseTrustAnchor(text);
  } catch (cause) {
    throw new ConfigError(`trustAnchorFile: ${path}: ${(cause as Error).message}`, { cause });
  }
}
