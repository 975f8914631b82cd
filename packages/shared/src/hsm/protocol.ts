import {
  decodeReplies,
  decodeRequests,
  encodeReplies,
  encodeRequests,
  type ReplyEntry,
  type RequestFrame,
} from './frame.ts';

/** What a protocol version determines: the layout of a stream's frames. */
export interface FrameLayout {
  readonly encodeRequests: (frame: RequestFrame) => Buffer;
  /** Throws `FrameError`. */
  readonly decodeRequests: (plain: Uint8Array) => RequestFrame;
  readonly encodeReplies: (entries: readonly ReplyEntry[]) => Buffer;
  /** Throws `FrameError`. */
  readonly decodeReplies: (plain: Uint8Array) => ReplyEntry[];
}

/** By version; the number rises from release to release. */
export type Protocols = ReadonlyMap<number, FrameLayout>;

/** A release speaks its own version and the previous release's (docs/formats.md, "Protocol versions"). */
export const protocols: Protocols = new Map([[1, { encodeRequests, decodeRequests, encodeReplies, decodeReplies }]]);

/** The two ends are more than one release apart. The message is no secret: releases are public. */
export class ProtocolVersionError extends Error {
  override name = 'ProtocolVersionError';

  constructor(member: Iterable<number>, host: Iterable<number>) {
    const versions = `the hsm-worker speaks ${[...member].join(', ')}, the frontend ${[...host].join(', ')}`;
    super(`no common protocol version: ${versions}. Upgrade the older one, release by release`);
  }
}

/** The newest version that both ends of a stream speak. Throws `ProtocolVersionError`. */
export function commonVersion(member: Protocols, host: readonly number[]): number {
  const common = host.filter((version) => member.has(version));
  if (common.length === 0) throw new ProtocolVersionError(member.keys(), host);
  return Math.max(...common);
}
