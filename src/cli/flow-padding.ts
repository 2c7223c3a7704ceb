import { type CollectionTag, type Document, isSeq, type Tags, visit, type YAMLMap, type YAMLSeq } from "yaml";

type Collection = YAMLMap | YAMLSeq;
type ToString = Collection["toString"];

/**
 * Lists and maps on one line are written with the white space within their brackets that they were read with: `{a: 1}`
 * and `[ 1 ]` may stand in one file. New ones are written like the first of their kind.
 */
export class FlowPadding {
  readonly #text: string;
  readonly #usual = new Map<string, string>();

  /** @param text that is parsed with {@link tags}. */
  constructor(text: string) {
    this.#text = text;
  }

  /** The tags with which collections are written so. */
  tags(tags: Tags): Tags {
    return tags.map((tag) =>
      typeof tag === "object" && tag.collection !== undefined ? this.#writing(tag) : tag,
    );
  }

  /** Looks at what a file usually has. */
  learn(document: Document.Parsed): void {
    visit(document, {
      Collection: (_key, node) => {
        const own = this.#own(node);
        if (own !== undefined && !this.#usual.has(kindOf(node))) this.#usual.set(kindOf(node), own);
      },
    });
  }

  #writing(tag: CollectionTag): CollectionTag {
    const stringify = (node: Collection, ...[context, ...more]: Parameters<ToString>): string => {
      const padding = this.#own(node) ?? this.#usual.get(kindOf(node));
      const padded =
        context && padding !== undefined ? { ...context, flowCollectionPadding: padding } : context;
      return node.toString(padded, ...more);
    };
    // The types have it for scalars alone, but yaml 2.9 calls it for all tags (stringify/stringify.js).
    return { ...tag, stringify } as unknown as CollectionTag;
  }

  /** undefined for a node that was not on one line, or was not read at all. */
  #own({ range }: Collection): string | undefined {
    const [open, next] = range ? this.#text.slice(range[0], range[0] + 2) : "";
    if ((open !== "{" && open !== "[") || next === undefined || /[\r\n\]}#]/.test(next)) return undefined;
    return next === " " ? " " : "";
  }
}

function kindOf(node: Collection): "list" | "map" {
  return isSeq(node) ? "list" : "map";
}
