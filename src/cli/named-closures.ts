import type { NamedClosure } from "../closure-index/name-document.ts";
import type { AskedName } from "../patch/asked-closure.ts";
import type { Resolver } from "../resolver/resolver.ts";

/** The closure that a name stands for on one system, with what is in it. */
export interface ReadNamedClosure {
  readonly named: NamedClosure;
  readonly closure: Awaited<ReturnType<Resolver["namedClosure"]>>;
}

/** The closures that a name stands for, in the order of their systems. */
export async function readNamedClosures(
  resolver: Resolver,
  { source, name }: AskedName,
): Promise<readonly ReadNamedClosure[]> {
  const { document } = await resolver.named(source, name);
  return Promise.all(
    document.closures.map(async (named) => {
      return { named, closure: await resolver.namedClosure(source, name, named) };
    }),
  );
}
