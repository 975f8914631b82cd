import { BlockList, isIP } from 'node:net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { IpNetworks } from './ip-networks.ts';

test.each([
  ['192.0.2.0/24', '192.0.2.255', true],
  ['192.0.2.0/24', '192.0.3.0', false],
  ['192.0.2.7', '192.0.2.7', true],
  ['192.0.2.7', '192.0.2.8', false],
  ['0.0.0.0/0', '192.0.2.7', true],
  ['2001:db8::/32', '2001:DB8:1::1', true],
  ['2001:db8::1', '2001:db8:0::1', true],
  ['fe80::/10', 'fe80::1%lo', true],
  ['::/0', '2001:db8::1', true],
])('%s has %s: %s', (network, address, expected) => {
  expect(IpNetworks.parse([network])?.has(address)).toBe(expected);
});

test.each([
  ['0.0.0.0/0', '2001:db8::1'],
  ['::/0', '192.0.2.1'],
  ['::/0', '::ffff:192.0.2.1'],
  ['::/1', '192.0.2.1'],
  ['::/80', '192.0.2.1'],
  ['2001:db8::/32', '192.0.2.1'],
])('%s has not %s, which is of the other family', (network, address) => {
  expect(IpNetworks.parse([network])?.has(address)).toBe(false);
});

test.each([
  ['10.0.0.0/8', '::ffff:10.0.0.1', true],
  ['10.0.0.0/8', '::ffff:0a00:0001', true],
  ['10.0.0.0/8', '::ffff:11.0.0.1', false],
  ['::ffff:10.0.0.0/104', '10.0.0.1', true],
  ['::ffff:10.0.0.0/104', '11.0.0.1', false],
  ['::ffff:10.0.0.1', '10.0.0.1', true],
])('an IPv4 address written as IPv6 is the same: %s has %s: %s', (network, address, expected) => {
  expect(IpNetworks.parse([network])?.has(address)).toBe(expected);
});

test('one of several is enough, and of none there is none', () => {
  const networks = IpNetworks.parse(['192.0.2.0/24', '2001:db8::/32']);
  expect(networks?.has('2001:db8::1')).toBe(true);
  expect(networks?.has('198.51.100.1')).toBe(false);
  expect(IpNetworks.parse([])?.has('192.0.2.1')).toBe(false);
});

test('text that is not an address is neither in nor out', () => {
  expect(IpNetworks.parse(['0.0.0.0/0'])?.has('unknown')).toBeUndefined();
});

test.each([
  '',
  'proxy',
  '10.0.0/8',
  '10.0.0.0/',
  '10.0.0.0/-1',
  '10.0.0.0/08',
  '10.0.0.0/33',
  '10.0.0.0/8/8',
  '2001:db8::/129',
  '::ffff:10.0.0.0/95',
  'fe80::1%eth0/64',
  'fe80::1%eth0',
])('%j is no network', (text) => {
  expect(IpNetworks.parse([text])).toBeUndefined();
  expect(IpNetworks.parse(['10.0.0.0/8', text])).toBeUndefined();
});

test('an address is in the networks that Node.js says', () => {
  const addresses = fc.oneof(
    fc.ipV4(),
    fc.ipV6(),
    fc.constantFrom('::', '::1', '1::', 'fe80::1:0:0:2', '2001:db8::192.0.2.1', '::192.0.2.1', '1:2:3:4:5:6:7::'),
  );
  const near = fc.tuple(addresses, addresses).chain(([one, other]) => fc.constantFrom([one, one], [one, other]));
  fc.assert(
    fc.property(near, fc.nat(128), ([network, address], given) => {
      fc.pre(![network, address].some((text) => /^[0:]*:ffff:/i.test(text)));
      const family = isIP(network) === 4 ? 'ipv4' : 'ipv6';
      const prefix = family === 'ipv4' ? given % 33 : given;
      const list = new BlockList();
      list.addSubnet(network, prefix, family);
      const expected = isIP(address) === isIP(network) && list.check(address, family);
      expect(IpNetworks.parse([`${network}/${prefix}`])?.has(address)).toBe(expected);
    }),
  );
});
