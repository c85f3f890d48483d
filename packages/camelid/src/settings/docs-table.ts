import type { z } from "zod";
import { type Knob, type SettingsShape, settingsShape } from "./knob.js";
import { valueText } from "./print.js";

/** The settings of a schema as Markdown tables, one for each group: what the documentation shows. */
export function settingsMarkdown(schema: z.ZodObject): string {
  return [...byGroup(settingsShape(schema))]
    .map(([group, knobs]) => {
      const rows = knobs.map(
        ({ path, accepts, required, default: value, help }) =>
          `| \`${path}\` | ${cell(accepts)} | ${required ? "required" : value === undefined ? "" : `\`${cell(valueText(value))}\``} | ${cell(help)} |`,
      );
      return [
        `### ${group}`,
        "",
        "| key | accepts | default | what it does |",
        "|---|---|---|---|",
        ...rows,
      ].join("\n");
    })
    .join("\n\n");
}

/** Knobs under their headings, both in the order of the schema. */
export function byGroup({ knobs }: SettingsShape): Map<string, Knob[]> {
  const groups = new Map<string, Knob[]>();
  for (const knob of knobs.values()) groups.set(knob.group, [...(groups.get(knob.group) ?? []), knob]);
  return groups;
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}
