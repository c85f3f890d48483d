/** One unified record as one line. */
import type { MixRecord } from "../preference.js";
import { jsonString } from "../python-text.js";

/** `python` gives the bytes of `json.dumps(record) + "\n"`: spaces after separators, ASCII only. */
export function jsonLine({ dataset, id, messages, pair }: MixRecord, style: "python" | "compact"): string {
  if (pair !== undefined) return `${JSON.stringify({ dataset, id, ...pair })}\n`;
  if (style === "compact") return `${JSON.stringify({ dataset, id, messages })}\n`;
  let line = `{"dataset": ${jsonString(dataset)}, "id": ${jsonString(id)}, "messages": [`;
  for (let i = 0; i < messages.length; i++) {
    const { role, content } = messages[i]!;
    line += `${i === 0 ? "" : ", "}{"role": "${role}", "content": ${jsonString(content)}}`;
  }
  return `${line}]}\n`;
}
