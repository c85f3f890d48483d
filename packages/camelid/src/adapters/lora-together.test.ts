/** Projections of one input share the first product of their adapters: with the same numbers as each alone. */
import type { Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { expect, test } from "vitest";
import { loadTinyLlama } from "../../../../tests/parity/tiny-llama.js";
import { forwardAll, type Linear } from "../nn/linear.js";
import { addLora, type LoraAdapter } from "./lora.js";

torch.setNumThreads(1);

const NAMES = ["q_proj", "k_proj", "v_proj"];

/** A model with an adapter for each of `targets`; the projections of its second layer's attention that see one input. */
function adapted(targets: readonly string[][]) {
  torch.manualSeed(1);
  const model = loadTinyLlama("lora/fixtures/base");
  const adapters = targets.map((targetModules) =>
    addLora(model, { rank: 4, alpha: 6, dropout: 0.5, targetModules }),
  );
  for (const { pairs } of adapters) for (const { b } of pairs.values()) torch.noGrad(() => b.normal_(0, 0.1));
  const linears = [...model.linears()].filter(({ name }) =>
    NAMES.some((end) => name.endsWith(`.1.self_attn.${end}`)),
  );
  return { model, adapters, linears };
}

function outputsAndGradients(
  linears: readonly Linear[],
  adapters: readonly LoraAdapter[],
  forward: (linears: readonly Linear[], x: Tensor) => Tensor[],
): Tensor[] {
  torch.manualSeed(2);
  const x = torch.randn([9, linears[0]!.inFeatures]);
  x.requiresGrad = true;
  const outputs = forward(linears, x);
  const loss = outputs
    .map((y, i) =>
      y
        .mul(i + 1)
        .pow(2)
        .sum(),
    )
    .reduce((a, b) => a.add(b));
  const names = new Set(linears.map(({ name }) => name));
  const pairs = adapters.flatMap(({ pairs }) => [...pairs].filter(([name]) => names.has(name)));
  const leaves = [x, ...pairs.flatMap(([, { a, b }]) => [a, b])];
  return [...outputs, ...torch.grad([loss], leaves).map((gradient) => gradient!)];
}

const eachAlone = (linears: readonly Linear[], x: Tensor): Tensor[] =>
  linears.map((linear) => linear.forward(x));

test.each([
  ["all three adapted", [NAMES]],
  ["some, and not the first", [["k_proj", "v_proj"]]],
  [
    "two adapters on different ones",
    [
      ["q_proj", "v_proj"],
      ["k_proj", "v_proj"],
    ],
  ],
  ["none", []],
])("%s: outputs and gradients are those of each projection alone", (_name, targets) => {
  using _ = torch.tensorScope();
  const { model, adapters, linears } = adapted(targets);
  expect(linears).toHaveLength(3);
  const together = outputsAndGradients(linears, adapters, forwardAll);
  const alone = outputsAndGradients(linears, adapters, eachAlone);
  expect(together).toHaveLength(alone.length);
  together.forEach((tensor, i) => {
    expect(tensor.sub(alone[i]!).abs().amax().item()).toBeLessThan(1e-4);
  });
  model[Symbol.dispose]();
});

test("dropout is each projection's own: what one does not see another may", () => {
  using _ = torch.tensorScope();
  const { model, adapters, linears } = adapted([NAMES]);
  const x = torch.ones([64, linears[0]!.inFeatures]);
  const [adapter] = adapters as [LoraAdapter];
  // All three the same projection but for its dropout: what they add differs only by what was dropped.
  const first = adapter.pairs.get(linears[0]!.name)!;
  for (const { name } of linears) torch.noGrad(() => adapter.pairs.get(name)!.a.copy_(first.a));
  const seen = (drops: boolean): Tensor[] => {
    adapter.drops = drops;
    const b = (name: string) => adapter.pairs.get(name)!.b;
    torch.noGrad(() => {
      for (const { name } of linears) b(name).fill_(1);
    });
    const [corrected, plain] = [true, false].map((enabled) => {
      adapter.enabled = enabled;
      return torch.noGrad(() => forwardAll(linears, x));
    }) as [Tensor[], Tensor[]];
    return corrected.map((y, i) => y.sub(plain[i]!).select(1, 0));
  };
  const [q, k] = seen(false) as [Tensor, Tensor];
  expect(q.sub(k).abs().amax().item()).toBeLessThan(1e-4);
  const [qDropped, kDropped] = seen(true) as [Tensor, Tensor];
  expect(qDropped.sub(kDropped).abs().amax().item()).toBeGreaterThan(0.1);
  model[Symbol.dispose]();
});
