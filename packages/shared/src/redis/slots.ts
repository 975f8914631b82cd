const SLOTS = 16_384;

/** CRC-16/XMODEM of each byte, as Redis Cluster distributes names ("Redis cluster specification", key distribution). */
const table = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  return crc;
});

/** The hash slot of a name: that of its hash tag, if it has one. */
export function slotOf(name: string): number {
  return slotOfTag(Buffer.from(/\{([^}]+)\}/.exec(name)?.[1] ?? name).toString('latin1'));
}

/** Of a text of bytes. */
function slotOfTag(tag: string): number {
  let crc = 0;
  for (let i = 0; i < tag.length; i++) crc = ((crc << 8) ^ table[(crc >> 8) ^ tag.charCodeAt(i)]!) & 0xffff;
  return crc % SLOTS;
}

/** One hash tag for each slot, in their order: always the same. */
export function tagsOfSlots(): readonly string[] {
  return (tags ??= findTags());
}

let tags: readonly string[] | undefined;

function findTags(): readonly string[] {
  const found = Array.from<string | undefined>({ length: SLOTS });
  for (let number = 0, left = SLOTS; left > 0; number++) {
    const tag = String(number);
    const slot = slotOfTag(tag);
    if (found[slot] !== undefined) continue;
    found[slot] = tag;
    left--;
  }
  return found as string[];
}
