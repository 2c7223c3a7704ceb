import { closureNameInvalid } from "../errors.ts";
import { nix32Alphabet } from "../nix/nix32.ts";
import { isTag } from "../oci/reference.ts";

/** What closures of several systems are found under together: a tag. */
export type ClosureName = string & { readonly __brand: "ClosureName" };

/** What the tags of closures, and those beside a name, begin with: the hash part of a root. */
const hashPattern = new RegExp(`^[${nix32Alphabet}]{32}`);
/** What registries without an API of referrers keep signatures and the like under (distribution-spec 1.1, "Referrers tag schema"). */
const referrersPattern = /^sha(?:256|512)-[0-9a-f]{32}/;

/**
 * Reads a name as a person writes it: any tag that is not another thing's.
 *
 * @throws closureNameInvalid
 */
export function parseClosureName(text: string): ClosureName {
  if (!isTag(text)) {
    const form = 'a name is up to 128 letters, digits, "_", "." and "-", the first one none of the last two';
    throw closureNameInvalid(text, form);
  }
  if (hashPattern.test(text)) {
    throw closureNameInvalid(
      text,
      "it begins like the hash of a store path, which are written /nix/store/...",
    );
  }
  if (referrersPattern.test(text)) {
    throw closureNameInvalid(text, "registries keep signatures of images under such tags");
  }
  return text as ClosureName;
}
