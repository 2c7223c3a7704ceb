/** A directory's entries by name; written in byte order of the names, whatever the order here. */
export type NarEntries = Iterable<readonly [name: Uint8Array, node: NarNode]>;

/** A tree to be written as a NAR. */
export type NarNode =
  | { readonly type: "directory"; readonly entries: NarEntries }
  | { readonly type: "regular"; readonly executable?: boolean; readonly contents: Uint8Array }
  | { readonly type: "symlink"; readonly target: Uint8Array };

/** Writes a tree as Nix's dumpPath does. Nothing is checked, so illegal names and targets can be written. */
export function writeNar(tree: NarNode): Buffer {
  const parts: Buffer[] = [narString("nix-archive-1")];
  writeNode(tree, parts);
  return Buffer.concat(parts);
}

/** One string of a NAR: its length, its bytes, its padding. */
export function narString(value: string | Uint8Array): Buffer {
  const bytes = typeof value === "string" ? Buffer.from(value) : value;
  const encoded = Buffer.alloc(8 + Math.ceil(bytes.length / 8) * 8);
  encoded.writeBigUInt64LE(BigInt(bytes.length));
  encoded.set(bytes, 8);
  return encoded;
}

/** Strings of a NAR one after the other, for those that no tree gives. */
export function narStrings(...values: readonly (string | Uint8Array)[]): Buffer {
  return Buffer.concat(values.map(narString));
}

function writeNode(node: NarNode, parts: Buffer[]): void {
  const put = (...values: readonly (string | Uint8Array)[]): void => {
    parts.push(...values.map(narString));
  };
  put("(", "type", node.type);
  switch (node.type) {
    case "regular":
      if (node.executable === true) put("executable", "");
      put("contents", node.contents);
      break;
    case "symlink":
      put("target", node.target);
      break;
    case "directory":
      for (const [name, child] of [...node.entries].sort(([a], [b]) => Buffer.compare(a, b))) {
        put("entry", "(", "name", name, "node");
        writeNode(child, parts);
        put(")");
      }
      break;
  }
  put(")");
}
