import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { delimiter, isAbsolute, join } from "node:path";

/** Decompression programs of the machine: absolute paths, plain data that a worker thread can be given. */
export interface Programs {
  readonly xz?: string;
  readonly zstd?: string;
  readonly bzip2?: string;
}

const names = ["xz", "zstd", "bzip2"] as const;

/**
 * Looks for the programs in the directories of a PATH variable. Relative directories are passed over: what they name
 * depends on where the process was started.
 */
export async function findPrograms(path: string | undefined): Promise<Programs> {
  const directories = (path ?? "").split(delimiter).filter((directory) => isAbsolute(directory));
  const found: { -readonly [Name in keyof Programs]: Programs[Name] } = {};
  for (const name of names) {
    for (const directory of directories) {
      const file = join(directory, name);
      if (!(await isExecutable(file))) continue;
      found[name] = file;
      break;
    }
  }
  return found;
}

async function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}
