import { readDocument } from './document.ts';

/** `${aws:username}`, `${aws:PrincipalTag/team, 'none'}`, but also `${*}`. */
const variable = /\$\{([^}]*)\}/g;

/**
 * The condition keys that valid policies ask for, also in variables, as the first of them spells each. Names are
 * case-insensitive.
 */
export function askedKeys(documents: readonly string[]): readonly string[] {
  const keys = new Map<string, string>();
  for (const name of documents.flatMap(keysIn)) {
    if (!keys.has(name.toLowerCase())) keys.set(name.toLowerCase(), name);
  }
  return [...keys.values()];
}

function keysIn(document: string): readonly string[] {
  const { statements, variables } = readDocument(JSON.parse(document));
  const inTexts = (texts: readonly string[]): string[] =>
    variables ? texts.flatMap((text) => [...text.matchAll(variable)].flatMap(keyOf)) : [];
  return statements.flatMap(({ Resource = [], NotResource = [], Condition = {} }) => [
    ...inTexts([...Resource, ...NotResource]),
    ...Object.values(Condition).flatMap((keys) =>
      Object.entries(keys).flatMap(([name, values]) => [name, ...inTexts(values)]),
    ),
  ]);
}

function keyOf([, content = '']: RegExpExecArray): readonly string[] {
  const [key = ''] = content.split(',');
  return key.includes(':') ? [key.trim()] : [];
}
