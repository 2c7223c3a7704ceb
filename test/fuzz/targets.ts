import type { FuzzTarget } from "./target.ts";

const loaders: Readonly<Record<string, () => Promise<FuzzTarget>>> = {
  nar: async () => (await import("./targets/nar.ts")).nar,
  narinfo: async () => (await import("./targets/narinfo.ts")).narInfo,
  listing: async () => (await import("./targets/listing.ts")).listing,
  compression: async () => (await import("./targets/compression.ts")).compression,
  annotations: async () => (await import("./targets/annotations.ts")).annotations,
  reference: async () => (await import("./targets/reference.ts")).reference,
  "image-name": async () => (await import("./targets/image-name.ts")).imageName,
  "closure-document": async () => (await import("./targets/closure-document.ts")).closureDocument,
  "closure-index": async () => (await import("./targets/closure-index.ts")).closureIndexes,
  names: async () => (await import("./targets/names.ts")).names,
  config: async () => (await import("./targets/config.ts")).config,
  "auth-file": async () => (await import("./targets/auth-file.ts")).authFile,
  "registry-answer": async () => (await import("./targets/registry-answer.ts")).registryAnswer,
  review: async () => (await import("./targets/review.ts")).review,
};

/** Every target. */
export const targetNames: readonly string[] = Object.keys(loaders);

/** A target by its name; its seeds are read and made only now. */
export async function loadTarget(name: string): Promise<FuzzTarget> {
  const load = loaders[name];
  if (load === undefined) throw new Error(`there is no target ${name}: ${targetNames.join(", ")}`);
  return load();
}
