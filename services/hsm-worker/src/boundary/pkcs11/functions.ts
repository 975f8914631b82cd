import { dlopen } from 'node:ffi';

// PKCS #11 Base Specification 2.40, section 5. CK_ULONG and pointers are 64 bits wide on every platform that Keyfleet
// runs on.
const word = 'uint64';
const pointer = 'pointer';
const returns = 'uint64';

const definitions = {
  C_Initialize: { return: returns, arguments: [pointer] },
  C_GetSlotList: { return: returns, arguments: ['uint8', pointer, pointer] },
  C_GetTokenInfo: { return: returns, arguments: [word, pointer] },
  C_OpenSession: { return: returns, arguments: [word, word, pointer, pointer, pointer] },
  C_GetSessionInfo: { return: returns, arguments: [word, pointer] },
  C_Login: { return: returns, arguments: [word, word, pointer, word] },
  C_Logout: { return: returns, arguments: [word] },
  C_FindObjectsInit: { return: returns, arguments: [word, pointer, word] },
  C_FindObjects: { return: returns, arguments: [word, pointer, word, pointer] },
  C_FindObjectsFinal: { return: returns, arguments: [word] },
  C_GenerateKey: { return: returns, arguments: [word, pointer, pointer, word, pointer] },
  C_DestroyObject: { return: returns, arguments: [word, word] },
  C_GenerateRandom: { return: returns, arguments: [word, pointer, word] },
  C_EncryptInit: { return: returns, arguments: [word, pointer, word] },
  C_Encrypt: { return: returns, arguments: [word, pointer, word, pointer, pointer] },
  C_DecryptInit: { return: returns, arguments: [word, pointer, word] },
  C_Decrypt: { return: returns, arguments: [word, pointer, word, pointer, pointer] },
} as const;

export type FunctionName = keyof typeof definitions;

/** The return values that matter to us. */
export const CKR = {
  GENERAL_ERROR: 0x05n,
  FUNCTION_FAILED: 0x06n,
  DATA_INVALID: 0x20n,
  DATA_LEN_RANGE: 0x21n,
  ENCRYPTED_DATA_INVALID: 0x40n,
  ENCRYPTED_DATA_LEN_RANGE: 0x41n,
  KEY_HANDLE_INVALID: 0x60n,
  OBJECT_HANDLE_INVALID: 0x82n,
  PIN_INCORRECT: 0xa0n,
  PIN_INVALID: 0xa1n,
  PIN_LEN_RANGE: 0xa2n,
  PIN_LOCKED: 0xa4n,
  SESSION_COUNT: 0xb1n,
  USER_ALREADY_LOGGED_IN: 0x100n,
  USER_NOT_LOGGED_IN: 0x101n,
  USER_PIN_NOT_INITIALIZED: 0x102n,
  USER_ANOTHER_ALREADY_LOGGED_IN: 0x104n,
  USER_TOO_MANY_TYPES: 0x105n,
} as const;

/** A module returned something other than CKR_OK. */
export class CryptokiError extends Error {
  override name = 'CryptokiError';
  readonly value: bigint;

  constructor(name: string, value: bigint) {
    super(`${name} returned 0x${value.toString(16)}`);
    this.value = value;
  }
}

type Arguments = readonly (bigint | number)[];

/** Calls a function of a module. Throws CryptokiError. Blocks until the module returns. */
export type CallModule = (name: FunctionName, ...args: Arguments) => void;

/** Throws if the file is not a PKCS#11 module. */
export function loadModule(path: string): CallModule {
  const functions = dlopen(path, definitions).functions as unknown as Record<string, (...args: Arguments) => bigint>;
  return (name, ...args) => {
    const value = functions[name]!(...args);
    if (value !== 0n) throw new CryptokiError(name, value);
  };
}
