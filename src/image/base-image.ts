import { tarEnd, tarHeader, tarPadding } from "../oci/tar.ts";

/** The user of the base image: no rights, and the same number as in other images made for this. */
export const baseUser = "65532";

interface BaseEntry {
  readonly path: string;
  readonly mode: number;
  /** Of a file; a directory has none. */
  readonly content?: string;
}

/** What programs look for in an image that is otherwise empty; all else is in the closure. */
const entries: readonly BaseEntry[] = [
  { path: "etc", mode: 0o755 },
  {
    path: "etc/group",
    mode: 0o644,
    content: ["root:x:0:", "nobody:x:65534:", "nonroot:x:65532:"].join("\n") + "\n",
  },
  // glibc without it asks no DNS in some versions, and others through systemd.
  { path: "etc/nsswitch.conf", mode: 0o644, content: "passwd: files\ngroup: files\nhosts: files dns\n" },
  {
    path: "etc/passwd",
    mode: 0o644,
    content:
      [
        "root:x:0:0:root:/root:/sbin/nologin",
        "nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin",
        "nonroot:x:65532:65532:nonroot:/tmp:/sbin/nologin",
      ].join("\n") + "\n",
  },
  // The mount point of the closure.
  { path: "nix", mode: 0o755 },
  { path: "nix/store", mode: 0o755 },
  { path: "tmp", mode: 0o1777 },
];

/** The layer of the base image, a few kilobytes of tar. */
export function baseLayer(): Uint8Array {
  const pieces = entries.flatMap(({ path, mode, content }) => {
    const bytes = Buffer.from(content ?? "");
    const type = content === undefined ? "directory" : "regular";
    return [
      tarHeader({ path: Buffer.from(path), type, mode, size: bytes.length }),
      bytes,
      tarPadding(bytes.length),
    ];
  });
  return Buffer.concat([...pieces, tarEnd]);
}
