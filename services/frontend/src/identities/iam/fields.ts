import { choice, integer, list, structure, text } from '@keyfleet/shared/api/shape';

/** Members shared by several operations, with the lengths and patterns of AWS's IAM model. */
const NAME = String.raw`[\w+=,.@-]+`;
export const UserName = text({ min: 1, max: 64, pattern: NAME });
export const RoleName = text({ min: 1, max: 64, pattern: NAME });
export const GroupName = text({ min: 1, max: 128, pattern: NAME });
export const PolicyName = text({ min: 1, max: 128, pattern: NAME });
export const Arn = text({ min: 20, max: 2048 });
export const Path = text({ min: 1, max: 512, pattern: String.raw`(\u002F)|(\u002F[\u0021-\u007E]+\u002F)` });
export const PathPrefix = text({ min: 1, max: 512, pattern: String.raw`\u002F[\u0021-\u007E]*` });
export const PolicyDocument = text({ min: 1, max: 131_072, pattern: String.raw`[\u0009\u000A\u000D\u0020-\u00FF]+` });
export const AccessKeyId = text({ min: 16, max: 128, pattern: String.raw`[\w]+` });
export const Description = text({ max: 1000 });
export const VersionId = text({ min: 1, max: 32, pattern: 'v[1-9][0-9]*' });
export const MaxSessionDuration = integer(3600, 43_200);
export const Status = choice(['Active', 'Inactive']);

export const Tag = structure('Tag', { Key: text({ min: 1, max: 128 }), Value: text({ min: 0, max: 256 }) });
export const Tags = list(Tag, { max: 50 });
export const TagKeys = list(text({ min: 1, max: 128 }), { max: 50 });

/** Members of every list operation. */
export const paging = {
  Marker: text({ min: 1, max: 1024 }).optional(),
  MaxItems: integer(1, 1000).optional(),
};

/** The member that names a bearer of policies. */
export const bearerName = { user: { UserName }, role: { RoleName }, group: { GroupName } } as const;
export type Bearer = keyof typeof bearerName;
/** In the spelling of operation names: PutUserPolicy. */
export const bearerTitle = { user: 'User', role: 'Role', group: 'Group' } as const;
