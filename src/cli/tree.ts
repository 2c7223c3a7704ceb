import { formatBytes } from "../errors.ts";
import type { Closure } from "../nix/closure.ts";
import { baseName, type StorePath } from "../nix/store-path.ts";
import { count } from "./context.ts";

/**
 * The closure as an indented tree of base names with sizes, a line each. A path that was shown already is marked with
 * `*` and not unfolded again.
 */
export function formatTree(closure: Closure): string {
  const shown = new Set<StorePath>();
  const lines: string[] = [];
  const stack = closure.roots.toReversed().map((path) => ({ path, prefix: "", branch: "" }));
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    const { path, prefix, branch } = node;
    const info = closure.byPath.get(path);
    const again = shown.has(path);
    lines.push(`${prefix}${branch}${baseName(path)}  ${formatBytes(info?.narSize ?? 0)}${again ? " *" : ""}`);
    if (again || info === undefined) continue;
    shown.add(path);
    const children = info.references.filter((reference) => reference !== path);
    const below = prefix + (branch === "" ? "" : branch === "└─ " ? "   " : "│  ");
    for (const [i, child] of [...children.entries()].toReversed()) {
      stack.push({ path: child, prefix: below, branch: i === children.length - 1 ? "└─ " : "├─ " });
    }
  }
  lines.push(`${count(closure.paths.length, "path")}, ${formatBytes(closure.narSize)}`);
  return `${lines.join("\n")}\n`;
}
