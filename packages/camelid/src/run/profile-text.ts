import type { StepProfiled } from "./events.js";

type Profile = Omit<StepProfiled, "time">;

/** Matrix products by libtorch's names: what a processor is bought for. */
const MATRIX_PRODUCTS = /^aten::(mm|addmm|bmm|baddbmm|linear|matmul|mkldnn_linear)$/;

export interface ProfileSummary {
  /** Of the step's time, each from 0 to 1; together 1. */
  matrixProducts: number;
  otherOperators: number;
  betweenOperators: number;
}

/** How much of the step is matrix products, how much other operators, how much neither. */
export function profileSummary({ duration_ms, operators }: Profile): ProfileSummary {
  const share = (ms: number): number => ms / duration_ms;
  const all = operators.reduce((sum, { ms }) => sum + ms, 0);
  const products = operators.reduce((sum, { name, ms }) => sum + (MATRIX_PRODUCTS.test(name) ? ms : 0), 0);
  return {
    matrixProducts: share(products),
    otherOperators: share(all - products),
    betweenOperators: Math.max(0, share(duration_ms - all)),
  };
}

const SHOWN_OPERATORS = 12;
const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

/** The table for a terminal, at most 80 columns wide. */
export function profileText(profile: Profile): string {
  const { step, tokens, duration_ms, phases, operators, device, trace } = profile;
  const row = (...cells: [string, string, string, string, string]): string =>
    `  ${cells[0].padEnd(10)} ${cells[1].slice(0, 34).padEnd(34)} ${cells[2].padStart(7)} ${cells[3].padStart(10)} ${cells[4].padStart(8)}`;
  const time = (ms: number): [string, string] => [ms.toFixed(2), percent(ms / duration_ms)];
  const { matrixProducts, otherOperators, betweenOperators } = profileSummary(profile);
  const rate = Math.round((tokens * 1000) / duration_ms).toLocaleString("en");
  const rest = operators.slice(SHOWN_OPERATORS);
  return [
    `profile of step ${step}: ${duration_ms.toFixed(1)} ms, ${tokens.toLocaleString("en")} tokens, ${rate} tokens/s`,
    row("phase", "", "", "ms", "share"),
    ...phases.map(({ name, ms }) => row(name, "", "", ...time(ms))),
    row("phase", "operator, without those it calls", "calls", "ms", "share"),
    ...operators
      .slice(0, SHOWN_OPERATORS)
      .map(({ name, phase, calls, ms }) => row(phase, shortName(name), String(calls), ...time(ms))),
    ...(rest.length === 0
      ? []
      : [row("", `${rest.length} more`, String(sum(rest, "calls")), ...time(sum(rest, "ms")))]),
    `  matrix products ${percent(matrixProducts)}, other operators ${percent(otherOperators)}, between operators ${percent(betweenOperators)}`,
    ...(device === "cpu" ? [] : ["  operators: the time to start them; phases: until the device was done"]),
    `  every call: ${trace}, for https://ui.perfetto.dev`,
  ].join("\n");
}

/** `torch::autograd::CppNode<camelid::(anonymous namespace)::RmsNorm>` -> `RmsNorm backward`. */
function shortName(name: string): string {
  const node = /CppNode<(?:.*::)?(\w+)>/.exec(name)?.[1];
  return node === undefined ? name.replace(/^aten::/, "") : `${node} backward`;
}

const sum = (rows: Profile["operators"], key: "calls" | "ms"): number =>
  rows.reduce((total, row) => total + row[key], 0);
