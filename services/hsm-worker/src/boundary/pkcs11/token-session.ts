import { CKR, type CallModule, CryptokiError } from './functions.ts';
import { Memory, wordOf } from './memory.ts';
import { gcmIn, keyOf, TAG_LENGTH, type Template, templateIn, textOf } from './structures.ts';

/** Selects a token among a module's slots. At least one of the two is required. */
export interface TokenName {
  readonly label?: string | undefined;
  readonly serial?: string | undefined;
}

/** The token is in none of the module's slots. */
export class NoTokenError extends Error {
  override name = 'NoTokenError';
  override message = 'it has no such token';
}
/** The token has no key with this label. */
export class NoKeyError extends Error {
  override name = 'NoKeyError';
}
/** The input was not encrypted in this way under this key. */
export class NotDecryptedError extends Error {
  override name = 'NotDecryptedError';
}

/** How many keys have a label, and how many of those are AES-256 keys that never leave the token. */
export interface KeyCount {
  readonly all: number;
  readonly kept: number;
}

export interface EncryptedInToken {
  readonly iv: Uint8Array;
  readonly ciphertext: Uint8Array;
  readonly tag: Uint8Array;
}

const CKF_SERIAL_AND_RW = 0x6;
const CKU_USER = 1;
const CKM_AES_KEY_GEN = 0x1080;
const MAX_SLOTS = 256;
const MAX_FOUND = 16;
const NONE = 0n;

/** A session with one token. Every method blocks until the token answers, and throws CryptokiError if it refuses. */
export class TokenSession {
  readonly #call: CallModule;
  readonly #memory = new Memory();
  readonly #session: bigint;
  /** Handles by label; the token may invalidate any of them. */
  readonly #keys = new Map<string, bigint>();

  /** Throws NoTokenError. */
  constructor(call: CallModule, name: TokenName) {
    this.#call = call;
    call('C_Initialize', NONE);
    const slot = this.#findSlot(name);
    this.#session = this.#using((memory) => {
      const session = memory.words(0);
      call('C_OpenSession', slot, BigInt(CKF_SERIAL_AND_RW), NONE, NONE, session.pointer);
      return wordOf(session);
    });
  }

  login(pin: Uint8Array): void {
    try {
      this.#call('C_Logout', this.#session);
    } catch (error) {
      if (!isValue(error, CKR.USER_NOT_LOGGED_IN)) throw error;
    }
    this.#keys.clear();
    this.#using((memory) => {
      this.#call('C_Login', this.#session, BigInt(CKU_USER), memory.put(pin).pointer, BigInt(pin.length));
    });
  }

  /** Makes an AES-256 key that never leaves the token. An existing one is left as it is. */
  generateKey(label: string): void {
    if (this.#search(label) !== undefined) return;
    this.#using((memory) => {
      const template = templateIn(memory, {
        ...keyOf(label),
        private: true,
        sensitive: true,
        extractable: false,
        encrypt: true,
        decrypt: true,
        wrap: false,
        unwrap: false,
        sign: false,
        verify: false,
        derive: false,
        valueLength: 32,
      });
      const [mechanism, key] = [memory.words(CKM_AES_KEY_GEN, 0, 0), memory.words(0)];
      this.#call('C_GenerateKey', this.#session, mechanism.pointer, ...template, key.pointer);
      this.#keys.set(label, wordOf(key));
    });
  }

  /** Does nothing if the key does not exist. */
  destroyKey(label: string): void {
    this.#keys.delete(label);
    for (let key = this.#search(label); key !== undefined; key = this.#search(label)) {
      this.#call('C_DestroyObject', this.#session, key);
      this.#keys.delete(label);
    }
  }

  countKeys(label: string): KeyCount {
    const kept = this.#find({ ...keyOf(label), sensitive: true, extractable: false, valueLength: 32 });
    return { all: this.#find(keyOf(label)).length, kept: kept.length };
  }

  generateRandom(length: number): Buffer {
    return this.#using((memory) => {
      const random = memory.take(length);
      this.#call('C_GenerateRandom', this.#session, random.pointer, BigInt(length));
      return Buffer.from(random.bytes);
    });
  }

  /** `iv`: random; a token that makes its own IV returns that one. Throws NoKeyError. */
  encrypt(label: string, { iv, associatedData, plaintext }: Record<'iv' | 'associatedData' | 'plaintext', Uint8Array>) {
    return this.#withKey(label, (key) =>
      this.#using((memory): EncryptedInToken => {
        const used = memory.put(iv);
        this.#call('C_EncryptInit', this.#session, gcmIn(memory, used, associatedData), key);
        const sealed = this.#transform(memory, 'C_Encrypt', plaintext);
        if (sealed.length !== plaintext.length + TAG_LENGTH) throw new CryptokiError('C_Encrypt', CKR.GENERAL_ERROR);
        return {
          iv: Buffer.from(used.bytes),
          ciphertext: sealed.subarray(0, -TAG_LENGTH),
          tag: sealed.subarray(-TAG_LENGTH),
        };
      }),
    );
  }

  /**
   * Throws NoKeyError and NotDecryptedError. Tries every key with the label: a worker whose token was slow to make it
   * may have been given up for another, which made a second, and each session encrypts under the one that it finds.
   */
  decrypt(label: string, encrypted: EncryptedInToken & { readonly associatedData: Uint8Array }): Buffer {
    return this.#withKey(label, (known) => {
      const opened = this.#open(encrypted, known);
      if (opened !== undefined) return opened;
      for (const key of this.#find(keyOf(label))) {
        const other = key === known ? undefined : this.#open(encrypted, key);
        if (other !== undefined) return other;
      }
      throw new NotDecryptedError();
    });
  }

  #open(
    { iv, associatedData, ciphertext, tag }: Parameters<TokenSession['decrypt']>[1],
    key: bigint,
  ): Buffer | undefined {
    return this.#using((memory) => {
      this.#call('C_DecryptInit', this.#session, gcmIn(memory, memory.put(iv), associatedData), key);
      try {
        return this.#transform(memory, 'C_Decrypt', Buffer.concat([ciphertext, tag]));
      } catch (error) {
        if (this.#isOfCiphertext(error)) return undefined;
        throw error;
      }
    });
  }

  /**
   * Modules do not agree on an error for a wrong tag. Some report "general error", after which the session still works.
   */
  #isOfCiphertext(error: unknown): boolean {
    const { ENCRYPTED_DATA_INVALID, ENCRYPTED_DATA_LEN_RANGE, DATA_INVALID, DATA_LEN_RANGE } = CKR;
    if (isValue(error, ENCRYPTED_DATA_INVALID, ENCRYPTED_DATA_LEN_RANGE, DATA_INVALID, DATA_LEN_RANGE)) return true;
    if (!isValue(error, CKR.GENERAL_ERROR, CKR.FUNCTION_FAILED)) return false;
    return this.#using((memory) => {
      this.#call('C_GetSessionInfo', this.#session, memory.take(64).pointer);
      return true;
    });
  }

  #transform(memory: Memory, name: 'C_Encrypt' | 'C_Decrypt', input: Uint8Array): Buffer {
    const output = memory.take(input.length + 2 * TAG_LENGTH);
    const length = memory.words(output.bytes.length);
    this.#call(name, this.#session, memory.put(input).pointer, BigInt(input.length), output.pointer, length.pointer);
    return Buffer.from(output.bytes.subarray(0, Number(wordOf(length))));
  }

  #withKey<T>(label: string, use: (key: bigint) => T): T {
    const known = this.#keys.get(label);
    if (known !== undefined) {
      try {
        return use(known);
      } catch (error) {
        if (!isValue(error, CKR.KEY_HANDLE_INVALID, CKR.OBJECT_HANDLE_INVALID)) throw error;
        this.#keys.delete(label);
      }
    }
    const found = this.#search(label);
    if (found === undefined) throw new NoKeyError();
    this.#keys.set(label, found);
    return use(found);
  }

  #search(label: string): bigint | undefined {
    return this.#find(keyOf(label))[0];
  }

  /** At most as many as workers might have made of one label. */
  #find(template: Template): bigint[] {
    return this.#using((memory) => {
      this.#call('C_FindObjectsInit', this.#session, ...templateIn(memory, template));
      try {
        const [keys, count] = [memory.words(...Array<number>(MAX_FOUND).fill(0)), memory.words(0)];
        this.#call('C_FindObjects', this.#session, keys.pointer, BigInt(MAX_FOUND), count.pointer);
        return Array.from({ length: Number(wordOf(count)) }, (_, i) => wordOf(keys, i));
      } finally {
        this.#call('C_FindObjectsFinal', this.#session);
      }
    });
  }

  #findSlot({ label, serial }: TokenName): bigint {
    return this.#using((memory) => {
      const slots = memory.take(8 * MAX_SLOTS);
      const count = memory.words(MAX_SLOTS);
      this.#call('C_GetSlotList', 1, slots.pointer, count.pointer);
      const info = memory.take(256);
      for (let i = 0; i < Number(wordOf(count)); i++) {
        this.#call('C_GetTokenInfo', wordOf(slots, i), info.pointer);
        const isNamed = label === undefined || textOf(info.bytes.subarray(0, 32)) === label;
        const isNumbered = serial === undefined || textOf(info.bytes.subarray(80, 96)) === serial;
        if (isNamed && isNumbered) return wordOf(slots, i);
      }
      throw new NoTokenError();
    });
  }

  /** Overwrites the memory afterwards. */
  #using<T>(use: (memory: Memory) => T): T {
    try {
      return use(this.#memory);
    } finally {
      this.#memory.clear();
    }
  }
}

export function isValue(error: unknown, ...values: readonly bigint[]): boolean {
  return error instanceof CryptokiError && values.includes(error.value);
}
