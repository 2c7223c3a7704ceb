/** What a token is to allow: reading one repository, or writing too. */
export interface Scope {
  readonly repository: string;
  readonly push: boolean;
}

/** As token services write it (distribution, docs/spec/auth/scope.md). */
export function scopeText({ repository, push }: Scope): string {
  return `repository:${repository}:${push ? "pull,push" : "pull"}`;
}

/** Whether whoever has some scopes has all of others. */
export function covers(scopes: readonly Scope[], others: readonly Scope[]): boolean {
  return others.every(({ repository, push }) =>
    scopes.some((scope) => scope.repository === repository && (scope.push || !push)),
  );
}

/** Scopes as texts, with those that the registry itself names, unless they are in them already. */
export function scopeTexts(scopes: readonly Scope[], named: string | undefined): readonly string[] {
  const texts = scopes.map(scopeText);
  const more = (named ?? "").split(" ").filter((text) => text !== "" && !isIn(text, scopes));
  return [...new Set([...texts, ...more])];
}

function isIn(text: string, scopes: readonly Scope[]): boolean {
  const [, repository = "", actions] = /^repository:(.+):([a-z,*]+)$/.exec(text) ?? [];
  if (actions === undefined) return false;
  const known = actions.split(",").every((action) => action === "pull" || action === "push");
  return known && covers(scopes, [{ repository, push: actions.includes("push") }]);
}
