import { mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { run } from "./command.ts";

/**
 * Copies programs of a Debian root with the libraries that they need into the root of an image.
 *
 * @param programs absolute paths of programs and directories below /usr
 */
export async function copyPrograms(
  rootfs: string,
  image: string,
  programs: readonly string[],
): Promise<void> {
  for (const name of ["bin", "sbin", "lib", "lib64"]) {
    await mkdir(join(image, "usr", name), { recursive: true });
    await symlink(`usr/${name}`, join(image, name)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
  }
  const listing = await run("chroot", [
    rootfs,
    "bash",
    "-euc",
    `find -L "$@" -type f -exec ldd {} + 2>/dev/null | grep -oE '/[^ :]*[.]so[^ :]*' | sort -u || true`,
    "bash",
    ...programs,
  ]);
  const libraries = listing.split("\n").filter((line) => line !== "");
  const script = `cd "$1"; target=$2; shift 2
    for file; do
      case "$file" in /usr/*) ;; *) file=/usr$file ;; esac
      mkdir -p "$target$(dirname "$file")"
      if [ -d ".$file" ]; then cp -a ".$file" "$target$(dirname "$file")/"; else cp -L ".$file" "$target$file"; fi
    done`;
  await run("bash", ["-euc", script, "bash", rootfs, image, ...programs, ...libraries]);
}
