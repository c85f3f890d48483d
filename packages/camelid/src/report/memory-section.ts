import type { RunRecord } from "../run/read-run.js";
import { table } from "./blocks.js";
import { type HtmlValue, html } from "./html.js";
import { section } from "./page.js";

/** The process's memory at its peak, part by part. */
export function memorySection({ events }: RunRecord): HtmlValue {
  const measured = events.findLast((event) => event.event === "memory-measured");
  if (measured === undefined) return undefined;
  const share = (bytes: number): string => `${((100 * bytes) / measured.peak_bytes).toFixed(1)} %`;
  return section({
    heading: "Memory",
    note: html`The process took <b>${megabytes(measured.peak_bytes)} MB</b> at its peak. Tensors are counted by the allocator, the rest is what the system and the heaps say of themselves.`,
    body: table(
      [{ name: "of this" }, { name: "MB", kind: "number" }, { name: "share", kind: "number" }],
      measured.parts.map(({ name, bytes }) => [name, megabytes(bytes), share(bytes)]),
    ),
  });
}

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(0);
