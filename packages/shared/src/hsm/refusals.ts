/**
 * Why an HSM refused a command. Deliberately coarse: no failure to open what a caller sent says more than
 * `cannot-open`. The order is that of the status in a frame: it never changes, and new ones come last.
 * - `cannot-open`: ciphertext and context do not belong to the key or to each other, or were changed.
 * - `unknown-domain-key`: sealed under a domain key this member has not installed yet; retry, here or on another.
 * - `invalid-input`: not a well-formed command, or an algorithm the key does not have.
 * - `invalid-public-key`: the peer's public key is not a valid one of the key's curve.
 * - `not-signed`: the command needs the host's signature and has none that verifies.
 * - `retired-domain-key`: sealed under a domain key that is out of use, most likely in an old backup. It opens nothing
 *   until operators reinstate it (docs/recovery.md).
 * - `expired`: the deadline passed before it began.
 * - `overloaded`: too much in flight.
 * - `no-domain`: not a member yet.
 * - `damaged-token`: the token is for another key or account, or was changed: the stored data is damaged, and no caller
 *   is to blame.
 * - `invalid-import-token`: not an import token, changed, or for another key.
 * - `expired-import-token`: its validity is over.
 * - `incorrect-material`: the imported material does not fit the key's spec.
 * - `no-cluster`: this member has no such CloudHSM cluster of the account; another may.
 * - `incorrect-trust-anchor`: not the cluster's.
 * - `cluster-away`: its token is missing or does not answer, or a worker that may have the cluster is out of reach.
 * - `cluster-sessions`: it has no free session.
 * - `cluster-password`, `no-cluster-user`, `cluster-user-locked`, `cluster-user-logged-in`: why it refuses its user.
 * - `no-cluster-key`: the key is not in the token.
 */
export const refusals = [
  'cannot-open',
  'unknown-domain-key',
  'invalid-input',
  'invalid-public-key',
  'not-signed',
  'expired',
  'overloaded',
  'no-domain',
  'internal',
  'retired-domain-key',
  'damaged-token',
  'invalid-import-token',
  'expired-import-token',
  'incorrect-material',
  'no-cluster',
  'incorrect-trust-anchor',
  'cluster-away',
  'cluster-sessions',
  'cluster-password',
  'no-cluster-user',
  'cluster-user-locked',
  'cluster-user-logged-in',
  'no-cluster-key',
] as const;
export type Refusal = (typeof refusals)[number];
