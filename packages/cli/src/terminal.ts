import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { CliError } from './cli-error.ts';

/** Where a command communicates with a person. */
export interface Terminal {
  /** One or more lines of the result. */
  write(text: string): void;
  /** Text that is not part of the result. */
  note(text: string): void;
  /** Throws CliError if nobody is there to ask. */
  askSecret(question: string): Promise<string>;
}

export const processTerminal: Terminal = {
  write: (text) => void process.stdout.write(`${visible(text)}\n`),
  note: (text) => void process.stderr.write(`${visible(text)}\n`),
  askSecret,
};

/** Control characters, and marks that turn the direction of what follows or end a line for some terminals. */
const hidden = /[^\P{Cc}\n\t]|[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/**
 * Much of what is printed comes from services and the store: nothing in it may move an operator's cursor. Escapes as
 * JSON does.
 */
export function visible(text: string): string {
  return text.replaceAll(hidden, (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Reads a line without showing it. */
async function askSecret(question: string): Promise<string> {
  if (!process.stdin.isTTY) {
    throw new CliError(`${question}: there is no terminal to ask at. Use --passphrase-file FILE.`, { exitCode: 2 });
  }
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const reader = createInterface({ input: process.stdin, output: silent, terminal: true });
  process.stderr.write(`${question}: `);
  try {
    return await new Promise<string>((resolve, reject) => {
      reader.question('', resolve);
      reader.once('SIGINT', () => reject(new CliError('cancelled')));
    });
  } finally {
    reader.close();
    process.stderr.write('\n');
  }
}
