import { access } from "node:fs/promises";
import { type Config, loadConfig } from "../config.ts";
import { defaultConfigFile } from "./flags.ts";

/** Loads the configuration, which is the given file, or the default one if it is there. */
export async function openConfig(
  file: string | undefined,
): Promise<{ config: Config; file: string | undefined }> {
  const name = file ?? ((await exists(defaultConfigFile)) ? defaultConfigFile : undefined);
  return { config: await loadConfig(name), file: name };
}

async function exists(file: string): Promise<boolean> {
  try {
    await access(file);
    return true;
  } catch {
    return false;
  }
}
