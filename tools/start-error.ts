/** Why the cluster cannot be started, in one line that says what to do. */
export class StartError extends Error {
  override name = 'StartError';
}
