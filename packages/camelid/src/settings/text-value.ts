import type { KnobSchema } from "./knob.js";

/**
 * Reads the text of a flag or of `--set key=value` by the type its knob declares: `1e-5` is a number where a
 * number is wanted and text where text is wanted. Text that fits no type is returned as it is, so that the
 * schema reports it like any other wrong value.
 */
export function readTextValue(text: string, schema: KnobSchema): unknown {
  const alternatives = schema.anyOf ?? schema.oneOf;
  if (alternatives !== undefined) {
    for (const alternative of alternatives) {
      const value = readTextValue(text, alternative);
      if (value !== text || alternative.type === "string") return value;
    }
    return text;
  }
  if (schema.type === undefined && schema.enum !== undefined) {
    return schema.enum.find((choice) => String(choice) === text) ?? text;
  }
  switch (schema.type) {
    case "null":
      return text === "none" || text === "null" ? null : text;
    case "boolean":
      return text === "true" ? true : text === "false" ? false : text;
    case "integer":
    case "number":
      // Number("") is 0 and Number("0x10") is 16: neither is what someone meant.
      return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text.trim()) ? Number(text) : text;
    case "array":
      return readList(text, schema);
    case "object":
      return readJson(text);
    default:
      return text;
  }
}

function readList(text: string, schema: KnobSchema): unknown {
  if (text.trim().startsWith("[")) return readJson(text);
  const items = text.split(",").map((item) => item.trim());
  if (items.length === 1 && items[0] === "") return [];
  return items.map((item, i) => {
    const itemSchema = schema.prefixItems?.[i] ?? (schema.items || undefined);
    return itemSchema === undefined ? item : readTextValue(item, itemSchema);
  });
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
