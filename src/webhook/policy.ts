/**
 * Whether one of a source's namespace patterns matches a namespace.
 * @param patterns namespaces, with `*` for any run of characters.
 */
export function allowsNamespace(patterns: readonly string[], namespace: string): boolean {
  return patterns.some((pattern) => {
    const words = pattern.split("*").map((word) => RegExp.escape(word));
    return new RegExp(`^${words.join(".*")}$`).test(namespace);
  });
}
