import { loadsOf } from './measure/plan.ts';
import { expect, test } from 'vitest';
import { type Options, parseOptions } from './options.ts';
import { parseTarget } from './targets/target-spec.ts';

const parsed = (...args: string[]) => parseOptions(args) as Options;

test('numbers may be written short', () => {
  expect(parsed('--keys', '1,1k,100k,1M').keys).toEqual([1, 1000, 100_000, 1_000_000]);
  expect(parsed('--connections', '1,16,64', '--seconds', '6')).toMatchObject({ connections: [1, 16, 64], seconds: 6 });
});

test('rates are numbers or parts of the peak', () => {
  expect(parsed('--rate', '2k,50%').rates).toEqual([
    { asked: '2k', perSecond: 2000 },
    { asked: '50%', part: 0.5 },
  ]);
});

test('--quick is a set of options, each of which can still be given', () => {
  expect(parsed('--quick')).toMatchObject({ connections: [1, 16], seconds: 2, warmup: 1 });
  expect(parsed('--quick', '--seconds', '1').seconds).toBe(1);
});

test('a run that is to leave A.json leaves A.json, not A.json.json', () => {
  expect([parsed('--out', 'x/A.json').out, parsed('--out', 'x/A').out]).toEqual(['x/A', 'x/A']);
});

test('targets have names, settings and processes', () => {
  const target = parseTarget('moto=http://127.0.0.1:5000,region=eu-west-1,pids=server:12+db:13');
  expect(target).toMatchObject({ name: 'moto', kind: 'aws', region: 'eu-west-1', pids: { server: 12, db: 13 } });
  expect(parseTarget('transit+http://127.0.0.1:8200/keys')).toMatchObject({ name: 'transit', kind: 'transit' });
  expect(parseTarget('https://kms.eu-west-1.amazonaws.com').name).toBe('kms.eu-west-1.amazonaws.com');
});

test.each([
  [['--seconds', '0'], '--seconds 0: numbers from 1 to 3600 are wanted.'],
  [['--connections', '1,x'], '--connections 1,x: numbers from 1 to 4096 are wanted.'],
  [['--use', 'zipf:'], '--use zipf:: there are turn, uniform, zipf and zipf:EXPONENT.'],
  [['--rate', '0%'], '--rate 0%'],
  [['--during', 'kill-frontend', '--target', 'http://127.0.0.1:1'], 'that happens to a cluster that is started for it'],
  [['--scenario', 'encrypt,encript'], "no scenario 'encript'. There are encrypt, decrypt"],
  [['--during', 'lunch'], '--during lunch: there are rotation, backup, kill-frontend'],
  [['--target', 'ftp://x'], "--target ftp://x: 'ftp://x' is no target."],
  [['--target', 'http://x,pid=1'], "'pid=1' is no setting"],
  [['--target', 'keyfleet,as=root'], 'as= takes user, conditions, role, grant.'],
  [['--target', 'keyfleet,callers=0'], 'callers= takes a number from 1 to 10000.'],
  [['--target', 'keyfleet', '--target', 'keyfleet'], "two targets are named 'keyfleet'"],
  [['--conections', '1'], "Unknown option '--conections'. See --help."],
])('%j is refused in one line', (args, line) => {
  expect(() => parseOptions(args)).toThrow(line);
});

test('a cluster that is started has frontends and TLS as its target says', () => {
  const options = parseOptions(['--target', 'keyfleet', '--target', 'two=keyfleet,frontends=2,tls=on']);
  const [usual, two] = options === 'help' ? [] : options.targets;
  expect([usual!.frontends, usual!.tls]).toEqual([undefined, undefined]);
  expect([two!.frontends, two!.tls]).toEqual([2, true]);
  expect(parseTarget('keyfleet,callers=1000,as=role')).toMatchObject({ callers: 1000, as: 'role' });
});

test('a server has further addresses', () => {
  const options = parseOptions(['--target', 'http://10.0.0.1:1,also=10.0.0.2:1+other.example:2']);
  const [target] = options === 'help' ? [] : options.targets;
  expect(target!.also).toEqual([
    { host: '10.0.0.2', port: 1 },
    { host: 'other.example', port: 2 },
  ]);
});

test('rates that need no peak are measured without closed loops', () => {
  const kinds = (...args: string[]) => {
    const options = parseOptions(args);
    return options === 'help' ? [] : loadsOf(options).map(({ kind }) => kind);
  };
  expect(kinds('--connections', '1', '--rate', '500')).toEqual(['open']);
  expect(kinds('--connections', '1', '--rate', '500,50%')).toEqual(['closed', 'open', 'open']);
  expect(kinds('--connections', '1', '--rate', '500', '--search', '10')).toEqual(['closed', 'open']);
});
