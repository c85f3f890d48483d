/** Rates that were measured on a device: what `benchmarks/cuda/speed.mjs --out FILE` wrote, or figures in its form. */
import { existsSync, readFileSync } from "node:fs";
import { z } from "zod";
import { SettingsError } from "../errors.js";
import { type Hardware, hardwareNames } from "./hardware.js";
import { updateSeconds } from "./time.js";

const figure = z.object({
  /** Name of the shape. */
  size: z.string(),
  parameters: z.number().positive(),
  /** A batch's tokens, and how many of them were trained in a second, update included. */
  tokens: z.number().positive(),
  tokensPerSecond: z.number().positive(),
  /** Share of `peakFlops` in the arithmetic of the model, what is computed again not counted. */
  shareOfPeak: z.number().positive(),
  recompute: z.boolean(),
  method: z.enum(["full", "lora", "qlora"]).default("full"),
});

const file = z.object({
  /** Name of the GPU, as its driver has it. */
  gpu: z.string().optional(),
  /** Operations a second of a large product on the same device. */
  peakFlops: z.number().positive(),
  /** Training steps; what is none of them, or failed, is passed over. */
  results: z.array(z.unknown()),
});

/** Bytes of state for each weight in the measured steps: weights in bf16 have moments in bf16. */
const BF16_MOMENTS = 4;

export type MeasuredFigure = z.output<typeof figure>;

export interface MeasuredRate {
  /** Operations a second that passes reach, what is computed again included. */
  flops: number;
  figure: MeasuredFigure;
}

/**
 * The rate at the figure whose model is nearest in size, of the same method where there is one.
 * @throws {SettingsError} `ERR_PLAN_MEASURED` when the file is none, has no figures, or is of another device
 */
export function readMeasuredRate(
  path: string,
  hardware: Hardware,
  parameters: number,
  method: MeasuredFigure["method"],
): MeasuredRate {
  const { gpu, peakFlops, results } = readFigures(path);
  if (hardware.flops === undefined) {
    throw unusable(path, "figures of a GPU say nothing about this machine, whose passes are measured.", {
      fix: `leave --measured out, or name the device: --on ${hardwareNames.slice(1).join(", ")}.`,
    });
  }
  if (gpu !== undefined && !isNamed(gpu, hardware.name)) {
    throw unusable(path, `it was measured on ${gpu}, and the plan is for ${hardware.name}.`, {
      fix: "plan for the device that was measured (--on), or give the share of its peak (--share).",
    });
  }
  const figures = results.flatMap((result) => figure.safeParse(result).data ?? []);
  const ofMethod = figures.filter((one) => one.method === method);
  const distance = (one: MeasuredFigure): number => Math.abs(Math.log(one.parameters / parameters));
  const [nearest] = (ofMethod.length > 0 ? ofMethod : figures).sort(
    (a, b) => distance(a) - distance(b) || b.tokens - a.tokens,
  );
  if (nearest === undefined)
    throw unusable(path, "it holds no figures.", { fix: "look at its errors, and measure again." });
  const units = nearest.method === "full" ? 3 : 2;
  const again = nearest.recompute ? (units + 1) / units : 1;
  // A step's update is planned by itself.
  const trained = nearest.method === "full" ? nearest.parameters : 0;
  const update = updateSeconds(trained, BF16_MOMENTS, hardware) * (nearest.tokensPerSecond / nearest.tokens);
  return { flops: (nearest.shareOfPeak * peakFlops * again) / (1 - update), figure: nearest };
}

function readFigures(path: string): z.output<typeof file> {
  if (!existsSync(path))
    throw unusable(path, "there is no such file.", { fix: "name the file that speed.mjs wrote." });
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw unusable(path, "it cannot be read as JSON.", { fix: "name the file that speed.mjs wrote.", cause });
  }
  const parsed = file.safeParse(content);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw unusable(path, `${issue?.path.join(".") || "the file"}: ${issue?.message}.`, {
    fix: "name the file that `node benchmarks/cuda/speed.mjs --out FILE` wrote.",
  });
}

/** "NVIDIA H100 80GB HBM3" is h100; "NVIDIA A100-SXM4-80GB" is a100-80gb. */
function isNamed(gpu: string, name: string): boolean {
  const plain = gpu.toLowerCase().replace(/[^a-z0-9]/g, "");
  return name.split("-").every((part) => plain.includes(part));
}

function unusable(path: string, what: string, details: { fix: string; cause?: unknown }): SettingsError {
  return new SettingsError("ERR_PLAN_MEASURED", what, { where: `--measured ${path}`, ...details });
}
