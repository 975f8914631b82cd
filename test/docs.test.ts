import { keyfleet } from '@keyfleet/cli/keyfleet';
import { MAX_FRONTENDS_OF_HOST, MAX_STREAMS_OF_HOST } from '@keyfleet/hsm-worker/boundary/host-load';
import { operations } from '@keyfleet/shared/api/registry';
import { exceptions } from '@keyfleet/shared/errors/exceptions';
import { codeOf, production, root, textOf } from '@keyfleet/test-support/sources';
import { existsSync, globSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { generatedFiles } from '../tools/gen.ts';

const boundary = 'services/hsm-worker/src/boundary/';

function document(name: string): string {
  return textOf(join('docs', name));
}

test('docs/api.md describes every operation, and none that is gone', () => {
  const families = document('api.md')
    .split(/^## /m)
    .filter((section) => !section.startsWith('Structures'));
  const described = families.flatMap((section) => [...section.matchAll(/^### (\w+)$/gm)].map(([, name]) => name!));
  expect(described.toSorted()).toEqual(Object.keys(operations).toSorted());
});

test('docs/errors.md describes every exception, and none that is gone', () => {
  const described = [...document('errors.md').matchAll(/^- `(\w+)`:/gm)].map(([, name]) => name!);
  expect(described.toSorted()).toEqual(Object.keys(exceptions).toSorted());
});

test.each(Object.entries(generatedFiles()))('%s is what `npm run gen` writes', (path, content) => {
  expect(textOf(path)).toBe(content);
});

test('every name in code that the glossary gives is in the code', () => {
  const names = [...textOf('docs/glossary.md').matchAll(/^\| [^|]+ \| `([\w]+)` \|/gm)].map(([, name]) => name!);
  expect(names.length).toBeGreaterThan(20);
  const code = production.map(codeOf).join('\n');
  expect(names.filter((name) => !new RegExp(`\\b${name}\\b`).test(code))).toEqual([]);
});

test('the README lists every npm script', () => {
  const { scripts } = JSON.parse(textOf('package.json')) as { scripts: Record<string, string> };
  const readme = textOf('README.md');
  const missing = Object.keys(scripts).filter((name) => !new RegExp(`npm (run )?${name}\\b`).test(readme));
  expect(missing).toEqual([]);
});

test('the README names every document', () => {
  const toRead = globSync('{docs/*,*}.md', { cwd: root }).filter((file) => !/^(README|CHANGELOG)\.md$/.test(file));
  const readme = textOf('README.md');
  expect(toRead.filter((file) => !readme.includes(`](${file})`))).toEqual([]);
});

test('the code map of ARCHITECTURE names every folder of a service or package', () => {
  const map = textOf('ARCHITECTURE.md').split('## Code map')[1]!.split('\n## ')[0]!;
  const named = [...map.matchAll(/`([^`]+)`/g)].flatMap(([, path]) => expanded(path!));
  const folders = new Set(
    production.map((file) => file.split('/').slice(0, 4).join('/')).filter((path) => !path.endsWith('.ts')),
  );
  const owners = /^(packages\/shared|services\/(frontend|hsm-worker))\/src\//;
  expect([...folders].filter((folder) => owners.test(folder) && !named.includes(folder))).toEqual([]);
});

test('the README of the boundary says where each of its files and folders belongs', () => {
  const named = [...textOf(`${boundary}README.md`).matchAll(/^\| (`.*?) \| /gm)]
    .flatMap(([, cell]) => [...cell!.matchAll(/`([^`]+?)\/?`/g)])
    .flatMap(([, pattern]) => globSync(pattern!, { cwd: join(root, boundary) }));
  const first = (file: string) => file.slice(boundary.length).split('/')[0]!;
  const there = new Set(production.filter((file) => file.startsWith(boundary)).map(first));
  expect([...there].filter((name) => !named.includes(name))).toEqual([]);
});

/** Without line breaks, in which a name may be broken, and without the marks of comments. */
function flowing(file: string): string {
  return textOf(file)
    .replaceAll(/\s*\n\s*(?:\*|\/\/|#)?\s+/g, ' ')
    .replaceAll(/\s+/g, ' ');
}

test('docs/operations.md says how many frontends may share a host key', () => {
  const page = flowing('docs/operations.md');
  expect(page).toContain(`At most ${MAX_FRONTENDS_OF_HOST} frontends share one`);
  expect(page).toContain(`a worker takes ${MAX_STREAMS_OF_HOST} of one host key`);
});

const documents = globSync(['*.md', '{docs,bench,deploy,services}/**/*.md'], { cwd: root }).filter(
  (file) => !file.includes('node_modules'),
);
/** Those that tell of the present. */
const current = documents.filter((file) => file !== 'CHANGELOG.md');

test('docs/formats.md names every file of vectors, and none that is gone', () => {
  const named = [...textOf('docs/formats.md').matchAll(/`([\w-]+\.json)`/g)].map(([, name]) => name!);
  const there = globSync('test/vectors/kms/*.json', { cwd: root }).map((file) => basename(file));
  // A frontend's floors are files of another kind.
  expect(new Set(named.filter((name) => !name.endsWith('-floor.json')))).toEqual(new Set(there));
});

test('every path that a document names is there', () => {
  const missing = current.flatMap((file) =>
    [...textOf(file).matchAll(/`((?:packages|services|test|tools|proto|bench|docs|deploy|boundary)\/[^`\s]*)`/g)]
      .flatMap(([, path]) => expanded(path!))
      .filter(
        (path) =>
          !existsSync(join(root, path.replace(/^boundary\//, boundary))) &&
          !/^(bench\/results\/|docs\/decisions\/\d{4}$)/.test(path),
      )
      .map((path) => `${file}: ${path}`),
  );
  expect(missing).toEqual([]);
});

test('every program file that a comment or a document names is there', () => {
  const files = globSync(['*.md', '{bench,deploy,docs,packages,proto,services,test,tools}/**/*.{md,mjs,sh,ts}'], {
    cwd: root,
  }).filter((file) => !/node_modules|CHANGELOG/.test(file));
  const there = new Set(files.map((file) => basename(file)));
  const missing = files.flatMap((file) =>
    textOf(file)
      .split('\n')
      .filter((line) => file.endsWith('.md') || /^\s*(\/\/|\/?\*)| \/\/ /.test(line))
      .flatMap((line) => [...line.matchAll(/(?<![\w.*{}])[a-z][\w-]*(?:\.[a-z]+)?\.(?:ts|mjs|sh)\b/g)])
      .filter(([name]) => !there.has(name))
      .map(([name]) => `${file}: ${name}`),
  );
  expect(missing).toEqual([]);
});

test('every test that docs/consistency.md names is there', () => {
  const tests = globSync('{packages,services,test}/**/*.{test,contract}.ts', { cwd: root })
    .filter((file) => !file.includes('node_modules'))
    .map(textOf)
    .join('\n');
  // A name may leave out its middle or its end.
  const parts = [...textOf('docs/consistency.md').matchAll(/"([^"]+)"/g)].flatMap(([, name]) => name!.split(/,? ?…/));
  expect(parts.length).toBeGreaterThan(20);
  expect(parts.filter((part) => !tests.includes(part.trim()))).toEqual([]);
});

test('every link in a document leads somewhere', () => {
  const anchorsOf = (file: string) =>
    [...textOf(file).matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
      title!
        .toLowerCase()
        .replaceAll(/[^\w\- ]/g, '')
        .replaceAll(' ', '-'),
    );
  const broken = documents.flatMap((file) =>
    [...textOf(file).matchAll(/\]\((?!\w+:)([^)\s]+)\)/g)]
      .map(([, target]) => target!)
      .filter((target) => {
        const [path, anchor] = target.split('#');
        const to = path === '' ? file : join(dirname(file), path!);
        return !existsSync(join(root, to)) || (anchor !== undefined && !anchorsOf(to).includes(anchor));
      })
      .map((target) => `${file}: ${target}`),
  );
  expect(broken).toEqual([]);
});

/** Documents, and what in the sources is for people: comments and messages. */
const texts = new Map([
  ...current.map((file) => [file, flowing(file)] as const),
  ...[...production, ...globSync('deploy/**/*.yaml', { cwd: root })].map((file) => [file, flowing(file)] as const),
]);

test('every section of a document that a text names in quotes is there', () => {
  const titlesOf = (file: string) =>
    [...textOf(file).matchAll(/^#+ (.*)$|\*\*([^*]+)\*\*/gm)].map(([, h, b]) => h ?? b!);
  const named = [...texts].flatMap(([file, text]) =>
    [...text.matchAll(/\b((?:docs\/)?[\w-]+\.md)[`)]*(?:\]\([^)]*\))?, \(?"([^"]+)"/g)].map(([, to, title]) => {
      const path = [join(dirname(file), to!), to!, join('docs', to!)].find((one) => existsSync(join(root, one)));
      return {
        says: `${file}: ${to}, "${title}"`,
        isThere: path !== undefined && titlesOf(path).some((one) => one.startsWith(title!)),
      };
    }),
  );
  expect(named.length).toBeGreaterThan(30);
  expect(named.filter(({ isThere }) => !isThere).map(({ says }) => says)).toEqual([]);
});

test('every decision that a text names by its number is there', () => {
  const there = globSync('docs/decisions/*.md', { cwd: root }).map((file) => Number(basename(file).slice(0, 4)));
  const named = [...texts].flatMap(([file, text]) =>
    [...text.matchAll(/\bdecisions?[ /](\d+)/gi)].map(([, number]) => ({ file, number: Number(number) })),
  );
  expect(named.length).toBeGreaterThan(20);
  expect(named.filter(({ number }) => !there.includes(number))).toEqual([]);
});

test('every document that the sources name is there', () => {
  const named = [...texts].flatMap(([file, text]) =>
    [...text.matchAll(/\bdocs\/[\w/-]+\.md\b/g)].map(([path]) => ({ file, path })),
  );
  expect(named.filter(({ path }) => !existsSync(join(root, path)))).toEqual([]);
});

test('every field of a configuration that a document names by its path is there', () => {
  const fields = new Set([...document('configuration.md').matchAll(/^\| `([^`]+)` \|/gm)].map(([, field]) => field!));
  const named = [...texts].flatMap(([file, text]) =>
    [...text.matchAll(/`([a-zA-Z]+)((?:\[\])?\.[a-zA-Z.[\]]+)`/g)]
      .filter(([, top]) => fields.has(top!))
      .map(([, top, rest]) => ({ file, field: `${top}${rest}` })),
  );
  expect(named.length).toBeGreaterThan(50);
  expect(named.filter(({ field }) => !fields.has(field))).toEqual([]);
});

/** What citty makes of a verb, or of a group of verbs. */
interface Verb {
  readonly args?: object;
  readonly subCommands?: Readonly<Record<string, Verb | (() => Promise<Verb>)>>;
}

/** The options of each verb, by its name after `keyfleet`. */
async function optionsOfVerbs(): Promise<Map<string, readonly string[]>> {
  const terminal = { write: () => {}, note: () => {}, askSecret: () => expect.fail() };
  const found = new Map<string, readonly string[]>();
  const add = async ({ args = {}, subCommands }: Verb, name: readonly string[]): Promise<void> => {
    if (subCommands === undefined) found.set(name.join(' '), Object.keys(args));
    for (const [verb, load] of Object.entries(subCommands ?? {})) {
      await add(typeof load === 'function' ? await load() : load, [...name, verb]);
    }
  };
  await add(keyfleet(terminal) as Verb, []);
  return found;
}

test('every verb and option of the command line that a text names is there', async () => {
  const options = await optionsOfVerbs();
  const groups = new Set([...options.keys()].map((name) => name.split(' ')[0]!));
  const commandsIn = (file: string) =>
    textOf(file)
      // One command, or its name, on two lines.
      .replaceAll(/\\\n\s*|(?<=\bkeyfleet [a-z]+)\n\s*/g, ' ')
      .matchAll(/(?<![\w/@.-])keyfleet ([a-z][^\n`'"|;()#,]*)/g);
  let count = 0;
  const wrong: string[] = [];
  for (const file of texts.keys()) {
    for (const [command, said] of commandsIn(file)) {
      const words = said!.trim().split(/[ .:]+/);
      if (!groups.has(words[0]!)) continue;
      count++;
      const verb = [3, 2, 1].map((length) => words.slice(0, length).join(' ')).find((name) => options.has(name));
      const known = verb === undefined ? [] : options.get(verb)!;
      const given = words.filter((word) => word.startsWith('--')).map((word) => word.replaceAll(/^--|=.*/g, ''));
      if (verb === undefined || given.some((option) => !known.includes(option))) wrong.push(`${file}: ${command}`);
    }
  }
  expect(count).toBeGreaterThan(100);
  expect(wrong).toEqual([]);
});

/** `a/{b,c}` is two paths; a pattern is the folder that it is in. */
function expanded(path: string): string[] {
  const [, before, names, after] = /^(.*?)\{([^}]+)\}(.*)$/.exec(path) ?? [];
  if (names !== undefined) return names.split(',').flatMap((name) => expanded(`${before}${name.trim()}${after}`));
  return [path.replace(/\/[^/]*\*.*$/, '')];
}
