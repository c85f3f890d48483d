/** TypeScript text of one typed operator: documentation, signature, and the native call. */

import type { Argument, Schema } from "../schema.js";
import type { OpEntry } from "./op-table.js";

type NumberOf = (operator: string) => number;

/** Arguments that only matter inside libtorch: left at their defaults. */
const HIDDEN_TYPES = new Set(["Layout", "MemoryFormat", "Generator"]);
const HIDDEN_NAMES = new Set(["pin_memory"]);

export function emitMethod(entry: OpEntry, schemas: readonly Schema[], numberOf: NumberOf): string {
  const text = emit(entry, schemas, numberOf, true);
  return text
    .split("\n")
    .map((line) => (line === "" ? "" : `  ${line}`))
    .join("\n");
}

export function emitFunction(entry: OpEntry, schemas: readonly Schema[], numberOf: NumberOf): string {
  return emit(entry, schemas, numberOf, false);
}

function emit(entry: OpEntry, schemas: readonly Schema[], numberOf: NumberOf, method: boolean): string {
  const [primary, alternative] = schemas as [Schema, Schema?];
  const visible = primary.args.filter((arg, i) => !isHidden(arg) && !(method && i === 0));
  const positional = visible.filter((arg) => !arg.keywordOnly);
  const keywords = visible.filter((arg) => arg.keywordOnly);
  const either = alternative === undefined ? undefined : scalarTwin(primary, alternative);

  const parameters = positional.map((arg, i) => {
    const rest = positional.slice(i);
    const type = arg.name === either ? `${typeOf(arg)} | number` : typeOf(arg);
    return `${camelCase(arg.name)}${rest.every(isOmissible) ? "?" : ""}: ${type}`;
  });
  if (keywords.length > 0) {
    const fields = keywords.map(
      (arg) => `${camelCase(arg.name)}${isOmissible(arg) ? "?" : ""}: ${typeOf(arg)}`,
    );
    parameters.push(`options${keywords.every(isOmissible) ? "?" : ""}: { ${fields.join("; ")} }`);
  }

  const call = (schema: Schema): string => {
    const values = schema.args.map((arg, i) => {
      if (isHidden(arg)) return "undefined";
      if (method && i === 0) return "this.handle";
      const known = visible.find((other) => other.name === arg.name);
      if (known === undefined) return "undefined";
      const access = known.keywordOnly
        ? `options${keywords.every(isOmissible) ? "?" : ""}.${camelCase(arg.name)}`
        : camelCase(arg.name);
      return convert(schema.operator, arg, access);
    });
    while (values.at(-1) === "undefined") values.pop();
    return `native.call(${[numberOf(schema.operator), ...values].join(", ")})`;
  };

  const prefix = method ? "" : "export function ";
  const inPlace = primary.returnedArgument === 0;
  const returnType = inPlace && method ? "this" : inPlace ? "void" : returnTypeOf(primary.returns);
  const finish = (callText: string): string[] => {
    if (inPlace) return method ? [`${callText};`, "return this;"] : [`${callText};`];
    return [`return ${wrapReturn(primary.returns, callText)};`];
  };
  const body: string[] = [];
  if (alternative !== undefined) {
    body.push(
      `if (typeof ${camelCase(either!)} === "number") {`,
      ...finish(call(alternative)).map((line) => `  ${line}`),
      "}",
    );
  }
  body.push(...finish(call(primary)));
  return [
    `/** ${entry.doc}. \`${schemas.map((schema) => schema.operator).join("`, `")}\` */`,
    `${prefix}${entry.name}(${parameters.join(", ")}): ${returnType} {`,
    ...body.map((line) => `  ${line}`),
    "}",
  ].join("\n");
}

/** The argument that is a tensor in one overload and a number in the other. */
function scalarTwin(primary: Schema, alternative: Schema): string {
  const twin = primary.args.find((arg) => {
    const other = alternative.args.find(
      (candidate) => candidate.name === arg.name || alternativeName(arg.name) === candidate.name,
    );
    return arg.type === "Tensor" && (other?.type === "Scalar" || other?.type === "float");
  });
  if (twin === undefined)
    throw new Error(`${primary.operator} and ${alternative.operator} do not differ in one tensor`);
  for (const arg of alternative.args) if (alternativeName(twin.name) === arg.name) arg.name = twin.name;
  return twin.name;
}

/** `scatter_.src` calls the tensor "src" where `scatter_.value` calls the number "value". */
const alternativeName = (name: string): string => (name === "src" ? "value" : name);

const isHidden = (arg: Argument): boolean =>
  HIDDEN_TYPES.has(arg.type.replace("?", "")) || HIDDEN_NAMES.has(arg.name);
const isOmissible = (arg: Argument): boolean => arg.defaultValue !== undefined || arg.type.endsWith("?");

function typeOf(arg: Argument): string {
  const optional = arg.type.endsWith("?");
  const base = typeName(optional ? arg.type.slice(0, -1) : arg.type);
  return optional
    ? `${base} | null | undefined`
    : arg.defaultValue === undefined
      ? base
      : `${base} | undefined`;
}

function typeName(type: string): string {
  const list = /^(.*)\[\d*\]$/.exec(type);
  if (list !== null) {
    const element = typeName(list[1]!.replace("?", ""));
    return list[1]!.endsWith("?") ? `readonly (${element} | null)[]` : `readonly ${element}[]`;
  }
  switch (type) {
    case "Tensor":
      return "Tensor";
    case "int":
    case "SymInt":
    case "float":
    case "Scalar":
      return "number";
    case "bool":
      return "boolean";
    case "str":
      return "string";
    case "ScalarType":
      return "DType";
    case "Device":
      return "Device";
    default:
      throw new Error(`no TypeScript type for ${type}`);
  }
}

function convert(operator: string, arg: Argument, access: string): string {
  const optional = isOmissible(arg) || access.includes("?");
  switch (arg.type.replace(/\?$/, "")) {
    case "Tensor":
      return optional ? `${access}?.handle` : `${access}.handle`;
    case "Tensor[]":
      return `handlesOf(${access})`;
    case "Tensor?[]":
      return `optionalHandlesOf(${access})`;
    case "ScalarType":
      if (operator === "aten::full") return `dtypeCode(${access} ?? "float32")`; // 1 and 1.0 are one number here
      return optional ? `${access} == null ? undefined : dtypeCode(${access})` : `dtypeCode(${access})`;
    default:
      return access;
  }
}

function returnTypeOf(returns: readonly string[]): string {
  const types = returns.map((type) => (type === "Tensor[]" ? "Tensor[]" : typeName(type)));
  if (types.length === 0) return "void";
  return types.length === 1 ? types[0]! : `[${types.join(", ")}]`;
}

function wrapReturn(returns: readonly string[], call: string): string {
  if (returns.length > 1) return `wrapAll(${call}) as ${returnTypeOf(returns)}`;
  if (returns[0] === "Tensor") return `wrap(${call})`;
  if (returns[0] === "Tensor[]") return `wrapAll(${call})`;
  return `${call} as ${returnTypeOf(returns)}`;
}

const camelCase = (name: string): string =>
  name.replace(/^_+/, "").replace(/_+(\w)/g, (_, letter: string) => letter.toUpperCase());
