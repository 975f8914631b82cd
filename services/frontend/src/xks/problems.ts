import { type ExceptionCode, KmsException } from '@keyfleet/shared/errors/exceptions';
import type { ConnectionError } from '../key-stores/key-store.ts';

interface Row {
  /** AWS's text. */
  readonly text: string;
  /** The error from CreateCustomKeyStore and UpdateCustomKeyStore. */
  readonly store: ExceptionCode;
  /** The error from CreateKey. */
  readonly createKey: ExceptionCode;
  /** The error of a store that fails to connect for this reason. */
  readonly connection: ConnectionError;
}

const tellAdministrator = 'If you see this error repeatedly, report it to your external key store proxy administrator.';
const invalidState = 'CustomKeyStoreInvalidStateException';
const badKey = 'XksKeyInvalidConfigurationException';
const badAnswer = 'XksProxyInvalidResponseException';
const outOfReach = 'XksProxyUriUnreachableException';

/**
 * What can go wrong between the service and an external key store's proxy. For cryptography the answer is always
 * KMSInvalidStateException. Source: External Key Store Proxy API Specification 1.0.2, "Error codes"; for access denied
 * to CreateKey, which has no KMSInvalidStateException, KMS Developer Guide, "Troubleshooting external key stores".
 */
const rows = {
  'invalid-response': {
    text: `AWS KMS cannot interpret the response from the external key store proxy. ${tellAdministrator}`,
    store: badAnswer,
    createKey: invalidState,
    connection: 'XKS_PROXY_INVALID_RESPONSE',
  },
  'key-disabled': {
    text: 'The external key associated with this KMS key in an external key store is not enabled in the external key manager. Enable the external key in the external key manager and retry the request.',
    store: badAnswer,
    createKey: badKey,
    connection: 'XKS_PROXY_INVALID_CONFIGURATION',
  },
  'ciphertext-rejected': {
    text: 'The external key store proxy rejected the request because the specified ciphertext or encryption context is corrupted, missing, or otherwise invalid.',
    store: badAnswer,
    createKey: invalidState,
    connection: 'XKS_PROXY_INVALID_RESPONSE',
  },
  /** What the proxy decrypted is not something that an HSM encrypted for this key in this context. */
  'ciphertext-wrong': {
    text: 'The ciphertext that the external key store proxy submitted for decryption, or the encryption context, is corrupted, missing, or otherwise invalid.',
    store: badAnswer,
    createKey: invalidState,
    connection: 'XKS_PROXY_INVALID_RESPONSE',
  },
  'key-usage': {
    text: 'The external key associated with this KMS key in an external key store does not support the requested operation. Enable the operation on the key in your external key manager, and try the request again.',
    store: badAnswer,
    createKey: badKey,
    connection: 'XKS_PROXY_INVALID_CONFIGURATION',
  },
  'not-authenticated': {
    text: 'The external key store proxy rejected the request because it could not authenticate AWS KMS. Verify the XKS proxy authentication credentials for your external key store and update if necessary.',
    store: 'XksProxyIncorrectAuthenticationCredentialException',
    createKey: invalidState,
    connection: 'INVALID_CREDENTIALS',
  },
  'access-denied': {
    text: 'The external key store proxy denied access to the operation. Verify that the user and the external key are both authorized for this operation, and try the request again.',
    store: badAnswer,
    createKey: invalidState,
    connection: 'XKS_PROXY_ACCESS_DENIED',
  },
  'key-not-found': {
    text: 'The external key associated with this KMS key in an external key store was not found in its external key manager. If the external key ID associated with this KMS key is incorrect, create a new KMS key with the correct external key ID.',
    store: badAnswer,
    createKey: 'XksKeyNotFoundException',
    connection: 'XKS_PROXY_INVALID_RESPONSE',
  },
  'uri-path': {
    text: 'The external key store proxy rejected the request because of an invalid URI path. Verify the URI path for your external key store and update if necessary.',
    store: 'XksProxyInvalidConfigurationException',
    createKey: invalidState,
    connection: 'XKS_PROXY_INVALID_CONFIGURATION',
  },
  unsupported: {
    text: `The external key store proxy rejected the request because it does not support the requested operation. ${tellAdministrator}`,
    store: badAnswer,
    createKey: invalidState,
    connection: 'XKS_PROXY_INVALID_RESPONSE',
  },
  'dependency-timeout': {
    text: `The external key store proxy did not respond to the request in the time allotted. Retry the request. ${tellAdministrator}`,
    store: outOfReach,
    createKey: invalidState,
    connection: 'XKS_PROXY_TIMED_OUT',
  },
  throttled: {
    text: 'The external key store proxy rejected the request due to a very high request rate. Reduce the frequency of your calls using KMS keys in this external key store.',
    store: outOfReach,
    createKey: invalidState,
    connection: 'XKS_PROXY_NOT_REACHABLE',
  },
  'hsm-failed': {
    text: 'The external key store proxy rejected the request because it cannot communicate with the external key manager. Verify that the external key store proxy configuration is correct and that the external key manager is available.',
    store: badAnswer,
    createKey: invalidState,
    connection: 'INTERNAL_ERROR',
  },
  /** As the proxy's health status reports. */
  'hsms-unavailable': {
    text: 'The external key store proxy rejected the request because it cannot communicate with the external key manager. Verify that the external key store proxy configuration is correct and that the external key manager is available.',
    store: outOfReach,
    createKey: invalidState,
    connection: 'XKS_PROXY_NOT_REACHABLE',
  },
  unreachable: {
    text: 'AWS KMS cannot communicate with the external key store proxy. This might be a transient network issue. If you see this error repeatedly, verify that your external key store proxy is active and is connected to the network, and that its endpoint URI is correct in your external key store.',
    store: outOfReach,
    createKey: invalidState,
    connection: 'XKS_PROXY_NOT_REACHABLE',
  },
  tls: {
    text: 'AWS KMS cannot establish a TLS connection to the external key store proxy. Verify the TLS configuration, including its certificate.',
    store: outOfReach,
    createKey: invalidState,
    connection: 'XKS_PROXY_INVALID_TLS_CONFIGURATION',
  },
  'timed-out': {
    text: `AWS KMS rejected the request because the external key store proxy did not respond in time. Retry the request. ${tellAdministrator}`,
    store: outOfReach,
    createKey: invalidState,
    connection: 'XKS_PROXY_TIMED_OUT',
  },
} as const satisfies Record<string, Row>;

export type XksProblem = keyof typeof rows;

/** A call to a proxy failed. */
export class XksError extends Error {
  override name = 'XksError';
  readonly problem: XksProblem;

  constructor(problem: XksProblem, options?: ErrorOptions) {
    super(problem, options);
    this.problem = problem;
  }

  get connectionError(): ConnectionError {
    return rows[this.problem].connection;
  }

  /** The exception for the caller of an operation. */
  toldBy(operation: string): KmsException {
    const row: Row = rows[this.problem];
    return new KmsException(codeFor(operation, row), row.text, { cause: this });
  }
}

function codeFor(operation: string, { store, createKey }: Row): ExceptionCode {
  if (operation === 'CreateKey') return createKey;
  const isOfStore = operation === 'CreateCustomKeyStore' || operation === 'UpdateCustomKeyStore';
  return isOfStore ? store : 'KMSInvalidStateException';
}

/** A proxy's errors by name. */
export const problemsByName: Readonly<Record<string, XksProblem>> = {
  ValidationException: 'invalid-response',
  InvalidStateException: 'key-disabled',
  InvalidCiphertextException: 'ciphertext-rejected',
  InvalidKeyUsageException: 'key-usage',
  AuthenticationFailedException: 'not-authenticated',
  AccessDeniedException: 'access-denied',
  KeyNotFoundException: 'key-not-found',
  InvalidUriPathException: 'uri-path',
  ThrottlingException: 'throttled',
  UnsupportedOperationException: 'unsupported',
  DependencyTimeoutException: 'dependency-timeout',
  InternalException: 'hsm-failed',
};
