/** Element types, by the names PyTorch uses. */
export type DType =
  | "float32"
  | "float64"
  | "bfloat16"
  | "float16"
  | "int64"
  | "int32"
  | "int16"
  | "int8"
  | "uint8"
  | "bool";

/** "cpu", "cuda:0", "mps": libtorch's own spelling. */
export type Device = string;

/** c10::ScalarType of each dtype. */
const CODES: Record<DType, number> = {
  uint8: 0,
  int8: 1,
  int16: 2,
  int32: 3,
  int64: 4,
  float16: 5,
  float32: 6,
  float64: 7,
  bool: 11,
  bfloat16: 15,
};
const NAMES = new Map(Object.entries(CODES).map(([name, code]) => [code, name as DType]));

const SIZES: Record<DType, number> = {
  float64: 8,
  int64: 8,
  float32: 4,
  int32: 4,
  bfloat16: 2,
  float16: 2,
  int16: 2,
  int8: 1,
  uint8: 1,
  bool: 1,
};

export const dtypeCode = (dtype: DType): number => CODES[dtype];
export const elementSize = (dtype: DType): number => SIZES[dtype];
export const isFloatingPoint = (dtype: DType): boolean => dtype.includes("float");

export function dtypeName(code: number): DType {
  const name = NAMES.get(code);
  if (name === undefined) throw new TypeError(`libtorch dtype ${code} has no name here`);
  return name;
}
