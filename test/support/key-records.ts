import type { Redis } from 'ioredis';

/** Records made by one command, which holds Redis up for some milliseconds. */
const AT_ONCE = 2000;

/**
 * Makes key records in Redis itself, which takes a second for 100,000: like those of a frontend, in the one list that
 * the first release had, and each with a token that nothing opens. KEYS: list. ARGV: from, to, Region, account,
 * template of a record.
 */
const MAKE = `
for i = tonumber(ARGV[1]), tonumber(ARGV[2]) - 1 do
  local keyId = string.format('%08x-0000-4000-8000-%012x', i, i)
  local createdAt = 1700000000000 + i
  local record = string.gsub(string.gsub(ARGV[5], 'KEYID', keyId), '"CREATED"', string.format('%d', createdAt))
  redis.call('HSET', 'kf:key:{' .. ARGV[3] .. '/' .. keyId .. '}', 'revision', 1, 'record', record)
  redis.call('ZADD', KEYS[1], 0, string.format('%012x', createdAt) .. '/' .. keyId)
end`;

const scope = { accountId: '111122223333', region: 'us-east-1' };

/** `token`: base64. `fields` replace those of a new key in each record. */
export async function makeKeyRecords(
  redis: Pick<Redis, 'eval'>,
  count: number,
  options: { token?: string; fields?: object; from?: number } = {},
): Promise<void> {
  const { accountId, region } = scope;
  const { token = Buffer.alloc(230, 7).toString('base64'), fields = {}, from = 0 } = options;
  const record = {
    schemaVersion: 1,
    revision: 1,
    keyId: 'KEYID',
    arn: `arn:aws:kms:${region}:${accountId}:key/KEYID`,
    ...scope,
    keySpec: 'SYMMETRIC_DEFAULT',
    keyUsage: 'ENCRYPT_DECRYPT',
    origin: 'AWS_KMS',
    multiRegion: false,
    description: '',
    state: 'Enabled',
    createdAt: 'CREATED',
    policy: JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: 'kms:*', Resource: '*' }] }),
    tags: [],
    backingKeys: [{ materialId: 'ab'.repeat(32), token, createdAt: 'CREATED' }],
    ...fields,
  };
  for (let made = from; made < from + count; made += AT_ONCE) {
    const to = Math.min(made + AT_ONCE, from + count);
    await redis.eval(MAKE, 1, `kf:keys:{${accountId}/${region}}`, made, to, region, accountId, JSON.stringify(record));
  }
}

/** KEYS: aliases. ARGV: from, to. They name the first keys that `makeKeyRecords` makes, 40 each. */
const MAKE_ALIASES = `
for i = tonumber(ARGV[1]), tonumber(ARGV[2]) - 1 do
  local target = math.floor(i / 40)
  local keyId = string.format('%08x-0000-4000-8000-%012x', target, target)
  local alias = '{"schemaVersion":1,"targetKeyId":"' .. keyId .. '","createdAt":1,"updatedAt":1}'
  redis.call('HSET', KEYS[1], 'alias/' .. i, alias)
end`;

/** Without the lists of them. */
export async function makeAliases(redis: Pick<Redis, 'eval'>, count: number): Promise<void> {
  const { accountId, region } = scope;
  for (let made = 0; made < count; made += AT_ONCE) {
    await redis.eval(MAKE_ALIASES, 1, `kf:aliases:{${accountId}/${region}}`, made, Math.min(made + AT_ONCE, count));
  }
}
