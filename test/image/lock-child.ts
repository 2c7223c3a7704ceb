/** A process that takes the lock of a directory, and tells what came of it. */
import { toNixClosureError } from "../../src/errors.ts";
import { lockDirectory } from "../../src/image/directory-lock.ts";

try {
  await lockDirectory(process.argv[2] ?? "");
  process.send?.("locked");
} catch (error) {
  process.send?.(toNixClosureError(error).code);
}
// Until it is killed.
setInterval(() => undefined, 1000);
