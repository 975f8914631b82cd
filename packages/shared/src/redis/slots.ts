export const SLOTS = 16_384;

/** CRC-16/XMODEM of each byte, as Redis Cluster distributes names ("Redis cluster specification", key distribution). */
const table = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  return crc;
});

/** The hash slot of a name: that of its hash tag, if it has one. */
export function slotOf(name: string): number {
  const tag = Buffer.from(/\{([^}]+)\}/.exec(name)?.[1] ?? name);
  return tag.reduce(crcWith, 0) % SLOTS;
}

function crcWith(crc: number, byte: number): number {
  return ((crc << 8) ^ table[(crc >> 8) ^ byte]!) & 0xffff;
}

/** One hash tag for each slot, in their order: the smallest number that Redis puts there. */
export function tagsOfSlots(): readonly string[] {
  return (tags ??= Array.from(findTags(), String));
}

let tags: readonly string[] | undefined;

/** The smallest numbers of all slots are less. */
const ENOUGH = 109_758;
const ZERO = 0x30;

/** The checksum of each number is that of the number without its last digit, and that digit: one step. */
function findTags(): Int32Array {
  const found = new Int32Array(SLOTS).fill(-1);
  const crcs = new Uint16Array(ENOUGH);
  for (let number = 0; number < ENOUGH; number++) {
    const crc = crcWith(number < 10 ? 0 : crcs[Math.floor(number / 10)]!, ZERO + (number % 10));
    crcs[number] = crc;
    if (found[crc % SLOTS] === -1) found[crc % SLOTS] = number;
  }
  return found;
}
