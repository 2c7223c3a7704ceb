/**
 * Systems that closures are pushed for, by Nix's name, each with the architecture of its images in Go's words, which are
 * those of Kubernetes' label for nodes, too.
 */
export const architectures = { "aarch64-linux": "arm64", "x86_64-linux": "amd64" } as const;

/** A system in Nix's words. */
export type System = keyof typeof architectures;

/** All of them, the most usual one first. */
export const systems: readonly System[] = ["x86_64-linux", "aarch64-linux"];

/** Whether closures can be pushed for a system of this name. */
export function isSystem(name: string): name is System {
  return Object.hasOwn(architectures, name);
}

/** The system of this name. Throws an error without a code for any other: who reads a document says where it was. */
export function parseSystem(name: string): System {
  if (!isSystem(name)) throw new Error("it is no system that images can be pushed for");
  return name;
}
