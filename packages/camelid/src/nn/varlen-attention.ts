/**
 * Attention on CUDA: all rows of a packed stretch in one kernel, which gets the borders of the rows instead of a mask. Flash
 * attention (Dao 2023, https://arxiv.org/abs/2307.08691) in half precision; in fp32, and where a GPU is too old for it, the
 * memory-efficient kernel (Rabe and Staats 2021, https://arxiv.org/abs/2112.05682). Both are libtorch's own, with its gradients.
 */
import type { Device, DType, Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";

export interface VarlenOptions {
  /** `rowBorders` of the lengths, made once for all layers. */
  borders?: Tensor | undefined;
  /** How many tokens back a token sees, itself included. */
  window?: number;
  /** Chosen by `varlenKernel` when left out. */
  kernel?: VarlenKernel | undefined;
  /** Calls an operator of libtorch; tests give another. */
  call?: typeof torch.callOperator;
}

export type VarlenKernel = "flash" | "efficient";

/**
 * @param query [tokens, heads, headDim]
 * @param key   [tokens, kvHeads, headDim]; query head h reads key-value head floor(h * kvHeads / heads)
 * @param value [tokens, kvHeads, headDim]
 * @param lengths tokens of each row
 * @returns [tokens, heads, headDim]; undefined where no kernel serves these tensors on this device
 */
export function varlenAttention(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  lengths: readonly number[],
  options: VarlenOptions = {},
): Tensor | undefined {
  const { window = Number.POSITIVE_INFINITY, call = torch.callOperator } = options;
  const longest = Math.max(...lengths);
  const isWindowed = window < longest;
  const kernel = options.kernel ?? varlenKernel(query.device, query.dtype, query.shape[2]!);
  if (kernel === undefined || (kernel === "efficient" && isWindowed)) return undefined;
  const borders = options.borders ?? rowBorders(lengths, query.device);
  const [q, k, v] = [query, key, value].map((x) => x.contiguous()) as [Tensor, Tensor, Tensor];
  if (kernel === "flash") {
    const left = isWindowed ? window - 1 : undefined;
    const right = isWindowed ? 0 : undefined;
    return first(
      // query, key, value, borders and longest row of both, dropout, causal, debug mask; scale, window
      call(FLASH, q, k, v, borders, borders, longest, longest, 0, true, false, undefined, left, right),
    );
  }
  const groups = q.shape[1]! / k.shape[1]!;
  const [keys, values] = [k, v].map((x) => repeatHeads(x, groups).unsqueeze(0)) as [Tensor, Tensor];
  const wantsGradient = torch.isGradEnabled() && [q, k, v].some((x) => x.requiresGrad);
  return first(
    // query, key, value as [1, tokens, heads, headDim]; bias, borders, longest rows, dropout, mask kind, keep the log-sums
    call(
      EFFICIENT,
      q.unsqueeze(0),
      keys,
      values,
      null,
      borders,
      borders,
      longest,
      longest,
      0,
      CAUSAL,
      wantsGradient,
    ),
  ).squeeze(0);
}

const FLASH = "aten::_flash_attention_forward";
const EFFICIENT = "aten::_efficient_attention_forward";
/** The memory-efficient kernel's number for "each token sees those before it, counted from the row's beginning". */
const CAUSAL = 1;

const first = (results: unknown): Tensor => (results as Tensor[])[0]!;

/** Where rows begin, and the end of the last: [rows + 1] int32. */
export function rowBorders(lengths: readonly number[], device: Device): Tensor {
  const borders = new Int32Array(lengths.length + 1);
  lengths.forEach((length, row) => {
    borders[row + 1] = borders[row]! + length;
  });
  return torch.tensor(borders, { device });
}

/** [tokens, kvHeads, headDim] -> [tokens, kvHeads * groups, headDim], each head `groups` times in a row. */
function repeatHeads(x: Tensor, groups: number): Tensor {
  if (groups === 1) return x;
  const [tokens, heads, headDim] = x.shape as [number, number, number];
  return x
    .unsqueeze(2)
    .expand([tokens, heads, groups, headDim])
    .reshape([tokens, heads * groups, headDim]);
}

const chosen = new Map<string, VarlenKernel | undefined>();

/**
 * The kernel for tensors of this kind: the first that computes a few tokens without an error, tried once in a process.
 * @returns undefined off CUDA, and where none does
 */
export function varlenKernel(device: Device, dtype: DType, headDim: number): VarlenKernel | undefined {
  if (!device.startsWith("cuda")) return undefined;
  const key = `${device} ${dtype} ${headDim}`;
  if (!chosen.has(key))
    chosen.set(
      key,
      KERNELS.find((kernel) => works(kernel, device, dtype, headDim)),
    );
  return chosen.get(key);
}

const KERNELS: readonly VarlenKernel[] = ["flash", "efficient"];

function works(kernel: VarlenKernel, device: Device, dtype: DType, headDim: number): boolean {
  if (kernel === "flash" && dtype !== "bfloat16" && dtype !== "float16") return false;
  using _ = torch.tensorScope();
  const x = torch.zeros([4, 1, headDim], { dtype, device });
  x.requiresGrad = true;
  try {
    torch.enableGrad(() => {
      const [gradient] = torch.grad([varlenAttention(x, x, x, [1, 3], { kernel })!.sum()], [x]);
      gradient!.sum().item();
    });
    return true;
  } catch {
    return false;
  }
}
