/** Which parts of nix-closure a process runs. */
export type Role = "webhook" | "registry" | "all";
export const roles: readonly Role[] = ["webhook", "registry", "all"];
