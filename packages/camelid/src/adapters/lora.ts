/**
 * LoRA (Hu et al. 2021, https://arxiv.org/abs/2106.09685): a frozen projection W gets a trained low-rank correction,
 *
 *     y = W x + scaling * B A dropout(x)        A [rank, in], B [out, rank], scaling = alpha / rank
 *
 * B starts at zero, so that a new adapter changes nothing. Names, scaling and initial values are PEFT's; checked against it
 * in tests/parity/lora.test.ts.
 */
import type { Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { SettingsError } from "../errors.js";
import type { LanguageModel } from "../model/language-model.js";
import type { Linear } from "../nn/linear.js";

export interface LoraSettings {
  rank: number;
  alpha: number;
  /** Share of the input's elements that the adapter does not see in a training step. */
  dropout: number;
  /** A projection gets an adapter when its name is one of these, or ends in `.` and one of these. */
  targetModules: readonly string[];
  /** Rank-stabilised (Kalajdzievski 2023, https://arxiv.org/abs/2312.03732): scaling = alpha / sqrt(rank). */
  rslora?: boolean;
}

/** The two matrices of one projection. */
export interface LoraPair {
  /** [rank, in] */
  a: Tensor;
  /** [out, rank] */
  b: Tensor;
}

/** One adapter on a model: a pair of matrices for each projection it adapts. The model owns them. */
export class LoraAdapter {
  readonly settings: LoraSettings;
  readonly scaling: number;
  /** By the projection's name. */
  readonly pairs: ReadonlyMap<string, LoraPair>;
  /** Whether the model's passes go through it. */
  enabled = true;
  /** Dropout belongs to training passes only; `withDropout` switches it on for one. */
  drops = false;

  constructor(settings: LoraSettings, pairs: ReadonlyMap<string, LoraPair>) {
    this.settings = settings;
    this.scaling = loraScaling(settings);
    this.pairs = pairs;
  }

  /** `<projection>.lora_A.weight` and `.lora_B.weight`, the names of PEFT's files without their prefix. */
  namedParameters(): Map<string, Tensor> {
    const parameters = new Map<string, Tensor>();
    for (const [name, { a, b }] of this.pairs)
      parameters.set(`${name}.lora_A.weight`, a).set(`${name}.lora_B.weight`, b);
    return parameters;
  }
}

/** A projection and the adapters on it. What a checkpoint stores of it is the frozen projection alone. */
export class LoraLinear implements Linear {
  readonly base: Linear;
  readonly adapters: readonly LoraAdapter[];

  constructor(base: Linear, adapters: readonly LoraAdapter[]) {
    this.base = base;
    this.adapters = adapters;
  }

  get name(): string {
    return this.base.name;
  }

  get inFeatures(): number {
    return this.base.inFeatures;
  }

  get outFeatures(): number {
    return this.base.outFeatures;
  }

  forward(x: Tensor): Tensor {
    return this.forwardTogether([this], x)[0]!;
  }

  forwardTogether(linears: readonly Linear[], x: Tensor): Tensor[] {
    const corrected = linears.map((linear) => {
      const { base, adapters } =
        linear instanceof LoraLinear ? linear : { base: linear, adapters: [] as LoraAdapter[] };
      return { name: linear.name, y: base.forward(x), adapters };
    });
    for (const adapter of new Set(corrected.flatMap(({ adapters }) => adapters))) {
      if (!adapter.enabled) continue;
      const own = corrected.filter(({ adapters }) => adapters.includes(adapter));
      addCorrections(own, adapter, x);
    }
    return corrected.map(({ y }) => y);
  }

  namedParameters(): Iterable<readonly [string, Tensor]> {
    return this.base.namedParameters();
  }

  [Symbol.dispose](): void {
    this.base[Symbol.dispose]();
    for (const { pairs } of this.adapters) {
      pairs.get(this.name)!.a.dispose();
      pairs.get(this.name)!.b.dispose();
    }
  }
}

/** Into every y as it was computed: no tensor of its size more, no pass over it more. */
function addCorrections(own: readonly { name: string; y: Tensor }[], adapter: LoraAdapter, x: Tensor): void {
  const { dropout, rank } = adapter.settings;
  const pairs = own.map(({ name }) => adapter.pairs.get(name)!);
  const drops = adapter.drops && dropout > 0;
  // Products with one side of `rank` are slow for what they compute: where all see the same x, they are one. Dropout is each one's own.
  const lows =
    drops || own.length === 1
      ? pairs.map(({ a }) => torch.linear(drops ? torch.dropout(x, dropout, true) : x, a))
      : torch.linear(x, torch.cat(pairs.map(({ a }) => a))).split(
          own.map(() => rank),
          -1,
        );
  own.forEach(({ y }, i) => {
    // In place on a view the backward pass would copy the whole gradient.
    const [flat, low] = [y, lows[i]!].map((t) => (t.ndim === 2 ? t : t.view([-1, t.shape.at(-1)!]))) as [
      Tensor,
      Tensor,
    ];
    flat.addmm_(low, pairs[i]!.b.t(), { alpha: adapter.scaling });
  });
}

export function loraScaling({ rank, alpha, rslora = false }: LoraSettings): number {
  return alpha / (rslora ? Math.sqrt(rank) : rank);
}

/**
 * Freezes the model and puts a new adapter on it. The matrices have the model's dtype; with fp32 masters in the optimizer that
 * is mixed precision as for full training. A model may carry several adapters: their corrections add up.
 * @throws {SettingsError} `ERR_LORA_SETTINGS`, `ERR_LORA_TARGETS` when no projection has one of the names
 */
export function addLora(model: LanguageModel, settings: LoraSettings): LoraAdapter {
  return attachLora(model, settings, ({ inFeatures, outFeatures }) =>
    newPair(model, settings, inFeatures, outFeatures),
  );
}

/** Puts an adapter on the model whose matrices come from `pairOf`; they belong to the model from now on. */
export function attachLora(
  model: LanguageModel,
  settings: LoraSettings,
  pairOf: (linear: Linear) => LoraPair,
): LoraAdapter {
  const targets = loraTargets(model, settings);
  for (const parameter of model.namedParameters().values()) parameter.requiresGrad = false;
  const pairs = new Map(targets.map((linear) => [linear.name, pairOf(linear)]));
  const adapter = new LoraAdapter(settings, pairs);
  for (const { name } of targets) {
    model.replaceLinear(name, (linear) =>
      linear instanceof LoraLinear
        ? new LoraLinear(linear.base, [...linear.adapters, adapter])
        : new LoraLinear(linear, [adapter]),
    );
  }
  return adapter;
}

/** The projections that an adapter of these settings has. @throws {SettingsError} as `addLora` */
export function loraTargets(model: LanguageModel, settings: LoraSettings): Linear[] {
  const linears = [...model.linears()];
  const names = linears.map(({ name }) => name);
  checkLora(settings, names);
  return linears.filter(({ name }) => settings.targetModules.some((target) => isTarget(name, target)));
}

const isTarget = (name: string, target: string): boolean => name === target || name.endsWith(`.${target}`);

/**
 * Whether an adapter of these settings can be put on a model.
 * @param names of the model's projections
 * @throws {SettingsError} as `addLora`
 */
export function checkLora(
  { rank, alpha, dropout, targetModules }: LoraSettings,
  names: readonly string[],
): void {
  const wrong =
    !Number.isInteger(rank) || rank < 1
      ? `rank is ${rank}; it must be a whole number from 1 on`
      : !(alpha > 0) || !Number.isFinite(alpha)
        ? `alpha is ${alpha}; it must be above 0, or the adapter does nothing`
        : !(dropout >= 0 && dropout < 1)
          ? `dropout is ${dropout}; it must be from 0 to below 1`
          : undefined;
  if (wrong !== undefined)
    throw new SettingsError("ERR_LORA_SETTINGS", `${wrong}.`, { where: "lora", fix: "correct the setting." });
  const unknown = targetModules.filter((target) => !names.some((name) => isTarget(name, target)));
  if (unknown.length > 0 || targetModules.length === 0) {
    const known = new Set(names.map((name) => name.slice(name.lastIndexOf(".") + 1)));
    throw new SettingsError(
      "ERR_LORA_TARGETS",
      unknown.length > 0
        ? `no projection of the model is called ${unknown.join(", ")}.`
        : "no projection is named.",
      { where: "lora.targetModules", fix: `choose from ${[...known].join(", ")}.` },
    );
  }
}

/** Every adapter that is on the model, in the order they were added. */
export function adaptersOf(model: LanguageModel): LoraAdapter[] {
  const found = new Set<LoraAdapter>();
  for (const linear of model.linears()) {
    if (linear instanceof LoraLinear) for (const adapter of linear.adapters) found.add(adapter);
  }
  return [...found];
}

/** Runs `body` on the model without its adapters: the base that they were put on. */
export function withoutAdapters<T>(model: LanguageModel, body: () => T): T {
  return withAdapters(model, [], body);
}

/** Runs `body` with only these of the model's adapters. */
export function withAdapters<T>(model: LanguageModel, wanted: readonly LoraAdapter[], body: () => T): T {
  const before = adaptersOf(model).map((adapter) => [adapter, adapter.enabled] as const);
  for (const [adapter] of before) adapter.enabled = wanted.includes(adapter);
  try {
    return body();
  } finally {
    for (const [adapter, enabled] of before) adapter.enabled = enabled;
  }
}

/** Runs one training pass, in which adapters drop elements. */
export function withDropout<T>(model: LanguageModel, body: () => T): T {
  const adapters = adaptersOf(model);
  for (const adapter of adapters) adapter.drops = true;
  try {
    return body();
  } finally {
    for (const adapter of adapters) adapter.drops = false;
  }
}

/** A uniform in +-1 / sqrt(in), which is Kaiming's with a = sqrt(5); B zero. */
function newPair(
  { device, dtype }: LanguageModel,
  { rank }: LoraSettings,
  inFeatures: number,
  outFeatures: number,
): LoraPair {
  return torch.tensorScope(() => {
    const bound = 1 / Math.sqrt(inFeatures);
    const a = torch.empty([rank, inFeatures]).uniform_(-bound, bound).to({ device, dtype });
    const b = torch.zeros([outFeatures, rank], { device, dtype });
    a.requiresGrad = true;
    b.requiresGrad = true;
    return { a, b };
  });
}
