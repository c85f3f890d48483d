/**
 * NF4 matrices in files, as bitsandbytes serialises them: beside `<name>` (the codes) lie
 *
 *     <name>.absmax                            [blocks] fp32; with double quantisation uint8 codes
 *     <name>.quant_map                         [16] fp32, the values of the codes
 *     <name>.nested_absmax, .nested_quant_map  [blocks / 256] and [256] fp32, with double quantisation
 *     <name>.quant_state.bitsandbytes__nf4     JSON as uint8: shape, dtype, block sizes, offset
 */
import type { DType, Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { z } from "zod";
import { ModelError } from "../errors.js";
import { NESTED_BLOCK, NF4_BLOCK, Nf4Weight } from "./nf4-weight.js";

const STATE = "quant_state.bitsandbytes__nf4";
const SUFFIXES = ["absmax", "quant_map", "nested_absmax", "nested_quant_map", STATE];

const positive = z.int().positive();
const StateJson = z.object({
  quant_type: z.literal("nf4"),
  blocksize: z.literal(NF4_BLOCK),
  dtype: z.enum(["float32", "bfloat16", "float16"]),
  shape: z.tuple([positive, positive]),
  nested_blocksize: z.literal(NESTED_BLOCK).optional(),
  nested_dtype: z.literal("float32").optional(),
  nested_offset: z.number().optional(),
});

/** Whether a tensor of a file is a statistic of an NF4 matrix, and of which: `<name>` without the suffix. */
export function nf4MatrixOf(tensorName: string): string | undefined {
  const suffix = SUFFIXES.find((one) => tensorName.endsWith(`.weight.${one}`));
  return suffix === undefined ? undefined : tensorName.slice(0, -suffix.length - 1);
}

export function nf4TensorNames(name: string): string[] {
  return [name, ...SUFFIXES.map((suffix) => `${name}.${suffix}`)];
}

/** @returns what a file holds of a matrix, by full name: the weight's own tensors and new ones of a few bytes */
export function nf4Tensors(name: string, weight: Nf4Weight): (readonly [string, Tensor])[] {
  const { packed, absmax, nested, shape, sourceDtype } = weight;
  const { device } = packed;
  const state: z.output<typeof StateJson> = {
    quant_type: "nf4",
    blocksize: NF4_BLOCK,
    dtype: sourceDtype as "float32",
    shape: [...shape],
    ...(nested === undefined
      ? {}
      : { nested_blocksize: NESTED_BLOCK, nested_dtype: "float32", nested_offset: nested.offset }),
  };
  using scope = torch.tensorScope();
  const bytes = new Uint8Array(Buffer.from(JSON.stringify(state)));
  const tensors: (readonly [string, Tensor])[] = [
    [name, packed],
    [`${name}.absmax`, absmax],
    [`${name}.quant_map`, scope.keep(nf4Map().to({ device }))],
  ];
  if (nested !== undefined) {
    tensors.push([`${name}.nested_absmax`, nested.absmax]);
    tensors.push([`${name}.nested_quant_map`, scope.keep(torch.dynamicMap(true).to({ device }))]);
  }
  return [...tensors, [`${name}.${STATE}`, scope.keep(torch.tensor(bytes, { device }))]];
}

/**
 * @param name  of the codes, such as `model.layers.0.mlp.up_proj.weight`
 * @param shape [out, in] that the model's config says
 * @param found the file's tensors by full name; those that the weight keeps become its own, the others stay the caller's
 * @param where the file, for messages
 * @throws {ModelError} `ERR_NF4_TENSORS` naming the tensor that is missing or not as it must be
 */
export function nf4FromTensors(
  name: string,
  shape: readonly [number, number],
  found: ReadonlyMap<string, Tensor>,
  where: string,
): Nf4Weight {
  const fail = (tensor: string, what: string): never => {
    throw new ModelError("ERR_NF4_TENSORS", `the 4-bit weights are not complete or not sound: ${what}.`, {
      where: `${where}, tensor "${tensor}"`,
      fix: "fetch the model again, or quantise the original weights with --quantize-type nf4.",
    });
  };
  const take = (tensor: string, dtype: DType, count?: number): Tensor => {
    const one = found.get(tensor);
    if (one === undefined) return fail(tensor, "it is missing");
    if (one.dtype === dtype && (count === undefined || one.numel === count)) return one;
    return fail(
      tensor,
      `${one.numel} values of ${one.dtype}, not ${count === undefined ? "" : `${count} of `}${dtype}`,
    );
  };
  const stateName = `${name}.${STATE}`;
  const state = parseState(take(stateName, "uint8"), (what) => fail(stateName, what));
  if (state.shape.join() !== shape.join())
    return fail(stateName, `it is of shape [${state.shape}], config.json says [${shape}]`);
  const count = shape[0] * shape[1];
  const blocks = Math.ceil(count / NF4_BLOCK);
  const isMap = (tensor: string, expected: Tensor): void => {
    const map = take(tensor, "float32", expected.numel);
    if (!torch.tensorScope(() => map.to({ device: "cpu" }).allclose(expected, 1e-5, 1e-8)))
      fail(tensor, "its values are not those of the code");
  };
  using _ = torch.tensorScope();
  isMap(`${name}.quant_map`, nf4Map());
  const isNested = found.has(`${name}.nested_absmax`) || state.nested_offset !== undefined;
  if (isNested) {
    isMap(`${name}.nested_quant_map`, torch.dynamicMap(true));
    if (state.nested_offset === undefined) return fail(stateName, "it has no nested_offset");
  }
  const nested = isNested
    ? {
        absmax: take(`${name}.nested_absmax`, "float32", Math.ceil(blocks / NESTED_BLOCK)),
        offset: state.nested_offset!,
      }
    : undefined;
  const absmax = take(`${name}.absmax`, isNested ? "uint8" : "float32", blocks);
  const packed = take(name, "uint8", Math.ceil(count / 2));
  if (!(nested?.absmax ?? absmax).isfinite().all().item())
    return fail(isNested ? `${name}.nested_absmax` : `${name}.absmax`, "it holds infinity or NaN");
  return new Nf4Weight({ shape, packed, absmax, nested, sourceDtype: state.dtype });
}

function parseState(bytes: Tensor, fail: (what: string) => never): z.output<typeof StateJson> {
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(bytes.toBytes()).toString("utf8"));
  } catch (cause) {
    return fail((cause as Error).message);
  }
  const parsed = StateJson.safeParse(json);
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0]!;
  return fail(`${path.join(".")}: ${message}`);
}

/** [16] fp32, a new tensor: a block whose maximum is 1, restored. */
function nf4Map(): Tensor {
  return torch.tensorScope(() => {
    const codes = torch.tensor(Uint8Array.from({ length: 8 }, (_, i) => ((2 * i) << 4) | (2 * i + 1)));
    return torch.nf4Dequantize(codes, torch.ones([1]), null, 0, [16], "float32");
  });
}
