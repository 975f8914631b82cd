/** kube-apiserver asked for something that the KMS v2 API does not have, or that is not ours. */
export class RefusedError extends Error {
  override name = 'RefusedError';
}
