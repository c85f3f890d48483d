/** The way to every operator that the table has no line for. */
import { native } from "./native.js";
import { parseSchema, type Schema } from "./schema.js";
import { Tensor } from "./tensor.js";
import { wrap, wrapAll } from "./wrap.js";

type Value = Tensor | number | boolean | string | null | undefined | readonly Value[];

const resolved = new Map<string, { number: number; schema: Schema }>();

/**
 * Calls any ATen operator by its full name: `callOperator("aten::cummax", x, 0)`. Arguments stand in the order of the
 * schema, keyword-only ones too; `undefined` takes the default. Dtypes are passed by libtorch's number.
 * @returns one value, or an array when the operator returns several
 * @throws {NativeError} when libtorch has no such operator
 */
export function callOperator(name: string, ...args: Value[]): unknown {
  let operator = resolved.get(name);
  if (operator === undefined) {
    const text = native.schemaOf(name);
    operator = {
      number: native.registerOperators([name]),
      schema: text === null ? NO_SCHEMA : parseSchema(text),
    };
    resolved.set(name, operator);
  }
  const result = native.call(operator.number, ...args.map(toNative));
  const { inPlace, returns } = operator.schema;
  if (inPlace) return args[0];
  return returns.length > 1
    ? returns.map((type, i) => fromNative(type, (result as unknown[])[i]))
    : fromNative(returns[0], result);
}

/** The native side then says which name it does not know. */
const NO_SCHEMA: Schema = { operator: "", args: [], returns: [], inPlace: false };

function toNative(value: Value): unknown {
  if (value instanceof Tensor) return value.handle;
  return Array.isArray(value) ? value.map(toNative) : value;
}

function fromNative(type: string | undefined, value: unknown): unknown {
  if (type === "Tensor") return wrap(value);
  return type === "Tensor[]" ? wrapAll(value) : value;
}
