/**
 * Reads the stored reference values of this folder.
 *
 * The safetensors reader is a few lines of its own on purpose: what checks the engine must not be the engine.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** A stored array. bf16 and fp16 are widened to float32, int64 to float64 (ids and labels are small). */
export interface ReferenceTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: Float32Array | Float64Array | Int32Array | Uint8Array;
}

export class ReferenceTensors {
  constructor(
    private readonly path: string,
    private readonly tensors: ReadonlyMap<string, ReferenceTensor>,
  ) {}

  get names(): string[] {
    return [...this.tensors.keys()];
  }

  get(name: string): ReferenceTensor {
    const tensor = this.tensors.get(name);
    if (tensor === undefined) {
      throw new Error(`${this.path} has no tensor ${name}; it has ${this.names.join(", ")}`);
    }
    return tensor;
  }

  /** The tensors whose names start with `prefix`, under the rest of their names. */
  under(prefix: string): Map<string, ReferenceTensor> {
    const found = [...this.tensors].filter(([name]) => name.startsWith(prefix));
    return new Map(found.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
  }
}

/** Absolute path of a file or folder under tests/parity, such as `llama/fixtures`. */
export function parityPath(relative: string): string {
  return fileURLToPath(new URL(relative, import.meta.url));
}

/** @param relative path under tests/parity */
export function readReferenceJson<T>(relative: string): T {
  return JSON.parse(readFileSync(parityPath(relative), "utf8")) as T;
}

/** @param relative path under tests/parity */
export function readReferenceTensors(relative: string): ReferenceTensors {
  const bytes = readFileSync(parityPath(relative));
  const headerBytes = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString("utf8", 8, 8 + headerBytes)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const body = bytes.subarray(8 + headerBytes);
  const tensors = new Map<string, ReferenceTensor>();
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const raw = body.subarray(...entry.data_offsets);
    tensors.set(name, { dtype: entry.dtype, shape: entry.shape, data: decode(entry.dtype, raw) });
  }
  return new ReferenceTensors(relative, tensors);
}

function decode(dtype: string, raw: Uint8Array): ReferenceTensor["data"] {
  // A copy starts at offset 0 of its own buffer, which makes every typed array below aligned.
  const { buffer } = Uint8Array.from(raw);
  switch (dtype) {
    case "F64":
      return new Float64Array(buffer);
    case "F32":
      return new Float32Array(buffer);
    case "F16":
      return Float32Array.from(new Uint16Array(buffer), halfToNumber);
    case "BF16":
      return new Float32Array(Uint32Array.from(new Uint16Array(buffer), (bits) => bits << 16).buffer);
    case "I64":
      return Float64Array.from(Array.from(new BigInt64Array(buffer), Number));
    case "I32":
      return new Int32Array(buffer);
    case "U8":
      return new Uint8Array(buffer);
    default:
      throw new Error(`the reference files hold no ${dtype}`);
  }
}

function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}
