import { execa } from 'execa';

/** As BuildKit makes a layer with `SOURCE_DATE_EPOCH=0` and `rewrite-timestamp=true`: no time is later than that. */
const asLayer = [
  '--sort=name',
  '--format=posix',
  '--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime',
  '--mtime=@0',
  '--clamp-mtime',
  '--numeric-owner',
];

/** The SHA-256 of a tree as a layer of an image, as hex digits. */
export async function layerDigest(tree: string): Promise<string> {
  const { stdout } = await execa('tar', [...asLayer, '-C', tree, '-c', '.'], {
    encoding: 'buffer',
    maxBuffer: 2 ** 30,
  }).pipe('sha256sum');
  return Buffer.from(stdout).toString().slice(0, 64);
}

/** What is in one of two trees alone, or differs. */
export async function differences(one: string, other: string): Promise<string> {
  const { stdout } = await execa('diff', ['--recursive', '--brief', '--no-dereference', one, other], { reject: false });
  return stdout;
}
