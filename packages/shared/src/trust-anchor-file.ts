import { ConfigError, readPublicFile } from './config.ts';
import { parseTrustAnchor, type TrustAnchor } from './domain/trust-anchor.ts';

/** Reads the file that every service's `trustAnchorFile` names. Throws ConfigError. */
export function loadTrustAnchor(path: string): TrustAnchor {
  const text = readPublicFile(path, 'trustAnchorFile');
  try {
    return parseTrustAnchor(text);
  } catch (cause) {
    throw new ConfigError(`trustAnchorFile: ${path}: ${(cause as Error).message}`, { cause });
  }
}
