/** kube-apiserver asked for what the KMS v2 API does not have, or for what is none of ours. */
export class RefusedError extends Error {
  override name = 'RefusedError';
}
