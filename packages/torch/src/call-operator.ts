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
  const { args: parameters, returns, returnedArgument } = operator.schema;
  const result = native.call(
    operator.number,
    ...args.map((arg, i) => toNative(arg, name, parameters[i]?.type)),
  );
  if (returnedArgument !== undefined) return args[returnedArgument];
  return returns.length > 1
    ? returns.map((type, i) => fromNative(type, (result as unknown[])[i]))
    : fromNative(returns[0], result);
}

/** The native side then says which name it does not know. */
const NO_SCHEMA: Schema = { operator: "", args: [], returns: [], returnedArgument: undefined };

function toNative(value: Value, name: string, type: string | undefined): unknown {
  if (value instanceof Tensor) return value.handle;
  if (Array.isArray(value)) return value.map((item) => toNative(item, name, type));
  // Tensors travel as numbers: a number in the place of one would be taken for somebody's.
  if (type?.startsWith("Tensor") && value != null)
    throw new TypeError(`${name}: ${String(value)} is not a tensor`);
  return value;
}

function fromNative(type: string | undefined, value: unknown): unknown {
  if (type === "Tensor") return wrap(value);
  return type === "Tensor[]" ? wrapAll(value) : value;
}
