import { readSync } from 'node:fs';
import type { Refusal } from '@keyfleet/shared/hsm/refusals';
import { CKR, loadModule } from './functions.ts';
import { isValue, NoKeyError, NotDecryptedError, type TokenName, TokenSession } from './token-session.ts';

/** A request to the process. The first is `open`; each is answered before the next arrives. */
export type TokenRequest =
  | { readonly name: 'open'; readonly module: string; readonly token: TokenName }
  /** The PIN comes on the standard input, where nothing makes copies of it. */
  | { readonly name: 'login'; readonly pinLength: number }
  | TokenWork;

/** A request to a session that is logged in. */
export type TokenWork =
  | { readonly name: 'generateKey' | 'destroyKey' | 'countKeys'; readonly label: string }
  | { readonly name: 'generateRandom'; readonly length: number }
  | ({ readonly name: 'encrypt'; readonly label: string } & Parameters<TokenSession['encrypt']>[1])
  | ({ readonly name: 'decrypt'; readonly label: string } & Parameters<TokenSession['decrypt']>[1]);

/** `problem`: in words, for whoever runs the worker. */
export type TokenReply = { readonly result: unknown } | { readonly refusal: Refusal; readonly problem: string };

let session: TokenSession | undefined;

process.on('message', (request: TokenRequest) => {
  process.send?.(replyTo(request));
});
// The hsm-worker has exited.
process.on('disconnect', () => process.exit());

function replyTo(request: TokenRequest): TokenReply {
  try {
    return { result: answer(request) };
  } catch (error) {
    return { refusal: refusalOf(error), problem: error instanceof Error ? error.message : '' };
  }
}

function answer(request: TokenRequest): unknown {
  if (request.name === 'open') {
    session = new TokenSession(loadModule(request.module), request.token);
    return undefined;
  }
  if (session === undefined) throw new Error('there is no session');
  switch (request.name) {
    case 'login':
      return login(session, request.pinLength);
    case 'generateKey':
      return session.generateKey(request.label);
    case 'destroyKey':
      return session.destroyKey(request.label);
    case 'countKeys':
      return session.countKeys(request.label);
    case 'generateRandom':
      return session.generateRandom(request.length);
    case 'encrypt':
      return session.encrypt(request.label, request);
    case 'decrypt':
      return session.decrypt(request.label, request);
  }
}

function login(into: TokenSession, pinLength: number): void {
  const pin = Buffer.allocUnsafeSlow(pinLength);
  try {
    for (let read = 0; read < pinLength;) {
      const more = readSync(0, pin, read, pinLength - read, null);
      if (more === 0) throw new Error('no PIN came');
      read += more;
    }
    into.login(pin);
  } finally {
    pin.fill(0);
  }
}

function refusalOf(error: unknown): Refusal {
  if (error instanceof NoKeyError) return 'no-cluster-key';
  if (error instanceof NotDecryptedError) return 'cannot-open';
  if (isValue(error, CKR.PIN_INCORRECT, CKR.PIN_INVALID, CKR.PIN_LEN_RANGE)) return 'cluster-password';
  if (isValue(error, CKR.PIN_LOCKED)) return 'cluster-user-locked';
  if (isValue(error, CKR.USER_PIN_NOT_INITIALIZED)) return 'no-cluster-user';
  if (isValue(error, CKR.USER_ALREADY_LOGGED_IN, CKR.USER_ANOTHER_ALREADY_LOGGED_IN, CKR.USER_TOO_MANY_TYPES)) {
    return 'cluster-user-logged-in';
  }
  if (isValue(error, CKR.SESSION_COUNT)) return 'cluster-sessions';
  return 'cluster-away';
}
