/** What matches the namespaces of a source, made once for a configuration. */
const compiled = new WeakMap<readonly string[], RegExp>();

/**
 * Whether one of a source's namespace patterns matches a namespace.
 * @param patterns namespaces, with `*` for any run of characters.
 */
export function allowsNamespace(patterns: readonly string[], namespace: string): boolean {
  let expression = compiled.get(patterns);
  if (expression === undefined) {
    const alternatives = patterns.map((pattern) =>
      pattern
        .split("*")
        .map((word) => RegExp.escape(word))
        .join(".*"),
    );
    expression = new RegExp(alternatives.length === 0 ? "[]" : `^(?:${alternatives.join("|")})$`);
    compiled.set(patterns, expression);
  }
  return expression.test(namespace);
}
