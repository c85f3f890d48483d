import { z } from "zod";

/** What a knob says about itself besides its type and its default. */
export interface KnobMeta {
  /** One or two plain sentences, with the unit; shown in `--help` and in the settings page. */
  help: string;
  /** Heading it stands under. */
  group: string;
  /** Words other tools use for it: only ever used to suggest the right one. */
  alsoKnownAs?: readonly string[];
  /** What is accepted, in words, where the type does not say it well: `cpu, cuda, cuda:N or mps`. */
  accepts?: string;
  /** The word in `--flag <word>`. */
  placeholder?: string;
}

/** Attaches {@link KnobMeta} to a schema. A recipe may still give it a default of its own: `knobs.epochs.default(3)`. */
export function knob<T extends z.ZodType>(schema: T, { help, ...meta }: KnobMeta): T {
  return schema.meta({ description: help, ...meta });
}

/** The part of JSON Schema that zod emits and that is read here. */
export interface KnobSchema {
  type?: string;
  description?: string;
  default?: unknown;
  enum?: readonly unknown[];
  const?: unknown;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  items?: KnobSchema | false;
  prefixItems?: readonly KnobSchema[];
  anyOf?: readonly KnobSchema[];
  oneOf?: readonly KnobSchema[];
  properties?: Readonly<Record<string, KnobSchema>>;
  required?: readonly string[];
  group?: string;
  alsoKnownAs?: readonly string[];
  accepts?: string;
  placeholder?: string;
}

/** One setting, as declared once in its schema. */
export interface Knob {
  /** The key in a preset, a file and `--set`: `lora.rank`. */
  readonly path: string;
  /** The flag: `--lora-rank`. */
  readonly flag: string;
  readonly help: string;
  readonly group: string;
  /** What it accepts, in words: `a number above 0`. */
  readonly accepts: string;
  readonly placeholder: string;
  readonly required: boolean;
  /** `undefined` when there is none. */
  readonly default: unknown;
  readonly alsoKnownAs: readonly string[];
  readonly schema: KnobSchema;
}

/** All knobs of a settings schema, and the keys that only group others (`lora`). */
export interface SettingsShape {
  readonly knobs: ReadonlyMap<string, Knob>;
  readonly objects: ReadonlyMap<string, KnobSchema>;
  /** Other tools' words -> path. */
  readonly aliases: ReadonlyMap<string, string>;
}

/**
 * Reads a settings schema. It goes through zod's JSON Schema form, which is public and stable, instead of
 * zod's internals; so whatever zod can express there (nullable groups, unions of methods, tuples) works.
 */
export function settingsShape(schema: z.ZodObject): SettingsShape {
  const knobs = new Map<string, Knob>();
  const objects = new Map<string, KnobSchema>();
  const aliases = new Map<string, string>();
  const visit = (node: KnobSchema, path: string, required: boolean, group: string) => {
    const branches = objectBranches(node);
    if (branches.length > 0) {
      if (path !== "") objects.set(path, node);
      for (const branch of branches) {
        for (const [key, child] of Object.entries(branch.properties ?? {})) {
          const needed = required && branches.length === 1 && (branch.required?.includes(key) ?? false);
          visit(child, path === "" ? key : `${path}.${key}`, needed, node.group ?? group);
        }
      }
    } else if (!knobs.has(path)) {
      const one = toKnob(path, node, required, group);
      knobs.set(path, one);
      for (const alias of one.alsoKnownAs) aliases.set(alias, path);
    }
  };
  visit(z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as KnobSchema, "", true, "Settings");
  return { knobs, objects, aliases };
}

/** The objects a node may be: itself, or the alternatives of a union (`null` beside an object is "off"). */
function objectBranches(node: KnobSchema): KnobSchema[] {
  if (node.type === "object" && node.properties !== undefined) return [node];
  return (node.anyOf ?? node.oneOf ?? []).flatMap(objectBranches);
}

function toKnob(path: string, schema: KnobSchema, required: boolean, group: string): Knob {
  return {
    path,
    flag: `--${path.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`).replaceAll(".", "-")}`,
    help: schema.description ?? "",
    group: schema.group ?? group,
    accepts: schema.accepts ?? acceptsText(schema),
    placeholder: schema.placeholder ?? placeholder(schema),
    required,
    default: schema.default,
    alsoKnownAs: schema.alsoKnownAs ?? [],
    schema,
  };
}

/** What a schema accepts, as the end of "expected ...". */
export function acceptsText(schema: KnobSchema): string {
  if (schema.enum !== undefined) return orList(schema.enum.map(String));
  if (schema.const !== undefined) return String(schema.const);
  const alternatives = schema.anyOf ?? schema.oneOf;
  if (alternatives !== undefined) {
    const values = alternatives.filter(({ type }) => type !== "null").map(acceptsText);
    return values.length < alternatives.length ? `${orList(values)}, or none` : orList(values);
  }
  switch (schema.type) {
    case "integer":
      return `a whole number${bounds(schema)}`;
    case "number":
      return `a number${bounds(schema)}`;
    case "boolean":
      return "true or false";
    case "string":
      return "text";
    case "null":
      return "none";
    case "array":
      if (schema.prefixItems)
        return `${schema.prefixItems.length} values: ${schema.prefixItems.map(acceptsText).join("; ")}`;
      return schema.items ? `a list, each ${acceptsText(schema.items)}` : "a list";
    default:
      return "a value";
  }
}

function bounds({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }: KnobSchema): string {
  // zod bounds every integer by what a double holds exactly; that is no limit anyone needs to read.
  const top = maximum === Number.MAX_SAFE_INTEGER ? undefined : maximum;
  const bottom = minimum === Number.MIN_SAFE_INTEGER ? undefined : minimum;
  let text = "";
  if (exclusiveMinimum !== undefined) text += ` above ${exclusiveMinimum}`;
  else if (bottom !== undefined) text += ` from ${bottom}`;
  if (exclusiveMaximum !== undefined) text += `${text === "" ? "" : " to"} below ${exclusiveMaximum}`;
  else if (top !== undefined) text += `${text === "" ? " up" : ""} to ${top}`;
  else if (bottom !== undefined) text += " on";
  return text;
}

function placeholder(schema: KnobSchema): string {
  if (schema.enum !== undefined) return "choice";
  const main = (schema.anyOf ?? schema.oneOf ?? []).find((branch) => branch.type !== "null") ?? schema;
  switch (main.type) {
    case "integer":
    case "number":
      return "number";
    case "boolean":
      return "true|false";
    case "array":
      return main.prefixItems
        ? main.prefixItems.map((_, i) => String.fromCharCode(97 + i)).join(",")
        : "a,b,...";
    default:
      return "text";
  }
}

function orList(words: readonly string[]): string {
  if (words.length < 2) return words.join("");
  return `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}
