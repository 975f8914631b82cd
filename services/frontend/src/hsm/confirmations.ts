import { timingSafeEqual } from 'node:crypto';
import type { CommandName, InputOf, OutputOf } from '@keyfleet/shared/hsm/commands';
import type { MemberAnswer } from './commands.ts';

/** Commands whose output holds a token that was sealed now. */
export type SealingCommand = {
  [N in CommandName]: OutputOf<N> extends { readonly token: Uint8Array } ? N : never;
}[CommandName];

export interface Verdict {
  /** The member that was asked. */
  readonly witness: string;
  readonly agrees: boolean;
}

/** Asks some member that may be a witness. */
type Ask = <N extends CommandName>(command: N, input: InputOf<N>) => Promise<MemberAnswer<N>>;

type Confirmation<N extends SealingCommand> = (
  ask: Ask,
  sealed: { readonly input: InputOf<N>; readonly output: OutputOf<N> },
) => Promise<Verdict>;

/** How a witness is asked whether a token is what its maker says. A refusal says that it is not. */
export const confirmations: { readonly [N in SealingCommand]: Confirmation<N> } = {
  async ResealToken(ask, { input: { token: replaces, ...account }, output: { token } }) {
    const { memberId } = await ask('CheckToken', { token, replaces, ...account });
    return { witness: memberId, agrees: true };
  },

  /** All that is stored of a key: what is encrypted under a wrong public key, for one, nobody can decrypt. */
  async GenerateBackingKey(ask, { input: { keyId, account, keySpec, keyUsage }, output: made }) {
    const { output, memberId } = await ask('DescribeBackingKey', { keyId, account, token: made.token });
    const isOfKind = output.keySpec === keySpec && output.keyUsage === keyUsage;
    const isSame = isEqual(output.materialId, made.materialId) && isEqual(output.publicKey, made.publicKey);
    return { witness: memberId, agrees: isOfKind && isSame };
  },

  async GenerateCredential(ask, { input: owner, output: { secretAccessKey, token } }) {
    const { output, memberId } = await ask('OpenCredential', { ...owner, token });
    return {
      witness: memberId,
      agrees: isEqual(Buffer.from(output.secretAccessKey), Buffer.from(secretAccessKey)),
    };
  },
};

function isEqual(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.length === b.length && timingSafeEqual(a, b);
}
