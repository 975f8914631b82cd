import { isIP } from 'node:net';

/** Names of private networks, which nobody can prove to have (RFC 6761, RFC 6762, ICANN's `internal`, Kubernetes). */
const PRIVATE = ['svc', 'local', 'internal', 'localhost', 'invalid', 'test'];

/**
 * Those that no public issuer signs: it signs what everybody can look up in DNS (CA/Browser Forum, Baseline
 * Requirements, 4.2.2).
 */
export function refusedByPublicIssuers(names: readonly string[]): string[] {
  return names.filter((name) => {
    const labels = name.split('.');
    return isIP(name) !== 0 || labels.length < 2 || PRIVATE.includes(labels.at(-1)!);
  });
}
