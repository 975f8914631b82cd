import { expect, test } from 'vitest';
import { allRegions, readRegions } from './regions.ts';

test('every Region is served unless some are named', () => {
  expect(readRegions(undefined)).toBe(allRegions);
  expect(allRegions).toHaveLength(34);
  expect(new Set(allRegions).size).toBe(allRegions.length);
  expect(allRegions.every((name) => /^([a-z]+-){2,3}\d+$/.test(name))).toBe(true);
  expect(readRegions('eu-west-1, us-east-1,eu-west-1')).toEqual(['eu-west-1', 'us-east-1']);
});

test.each(['', 'us-east-1,', 'moon-1', 'cn-north-1'])('%j names a Region that there is not', (text) => {
  expect(() => readRegions(text)).toThrow('is no Region of AWS');
});
