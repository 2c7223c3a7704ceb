/**
 * Makes an input smaller that fails, as long as it fails in the same way.
 *
 * @param fails whether an input fails like the first one.
 * @param deadline milliseconds, by performance.now(), after which the smallest so far will do.
 */
export async function shrink(
  input: Uint8Array,
  fails: (candidate: Uint8Array) => Promise<boolean>,
  deadline: number,
): Promise<Uint8Array> {
  let smallest = input;
  for (let size = Math.ceil(input.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < smallest.length;) {
      if (performance.now() > deadline) return smallest;
      const candidate = without(smallest, at, size);
      if (await fails(candidate)) smallest = candidate;
      else at += size;
    }
  }
  return smallest;
}

function without(bytes: Uint8Array, at: number, count: number): Uint8Array {
  const left = new Uint8Array(bytes.length - Math.min(count, bytes.length - at));
  left.set(bytes.subarray(0, at));
  left.set(bytes.subarray(at + count), at);
  return left;
}
